// SPDX-License-Identifier: GPL-2.0
/*
 * The demo: four jobs in two cgroups, two policy groups that cut across them, a
 * fast and a slow swap device.  scripts/demo boots a guest that runs this.
 *
 * Nothing in the final table is this program's own bookkeeping: what a job has
 * on which device comes from its page table (/proc/PID/pagemap), what a group
 * was given from its stat file, what a device holds from tiers_usage.
 */
#define _GNU_SOURCE
#include "demo.h"

#define TIERS		"/sys/kernel/mm/swap/tiers"
#define JOB_PAGES	4096UL		/* 16 MiB each, so 32 MiB in a cgroup */
#define CGROUP_MAX	"16M"
#define SLICE		256UL		/* pages a job touches before the next one may */
#define DEVICES		8

/* A job: a slice of work for each order. */
struct job {
	struct worker worker;
	const char *cgroup, *group;
	unsigned long on[DEVICES];
};

static struct job jobs[] = {
	{ .worker.name = "web", .cgroup = "shop", .group = "latency" },
	{ .worker.name = "report", .cgroup = "shop", .group = "batch" },
	{ .worker.name = "imap", .cgroup = "mail", .group = "latency" },
	{ .worker.name = "index", .cgroup = "mail", .group = "batch" },
};

#define JOBS (sizeof(jobs) / sizeof(*jobs))
#define EACH_JOB(job) for (struct job *job = jobs; job < jobs + JOBS; job++)

static int fast = -1, slow = -1;	/* numbers of the swap devices */

/* Show a file as a newcomer would see it with cat. */
static void show(const char *path)
{
	char text[4096];

	get(path, text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		printf("      %s\n", line);
}

/* Which number have the fast and the slow device?  /proc/swaps is in order. */
static void find_devices(void)
{
	const char *fast_name = getenv("SWAP_FAST"), *slow_name = getenv("SWAP_SLOW");
	char text[4096], device[64];
	int number = -1;

	get("/proc/swaps", text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%63s", device) != 1)
			continue;
		if (fast_name && !strcmp(device, fast_name))
			fast = number;
		if (slow_name && !strcmp(device, slow_name))
			slow = number;
		number++;
	}
	if (fast < 0 || slow < 0)
		give_up("two swap devices are needed: scripts/boot --swap fast,slow");
}

/* A job's life: for each order one slice of its memory. */
static void work(struct worker *worker, int from, int to)
{
	unsigned int owner = (struct job *)worker - jobs + 1;
	char answer = 'k';
	char what;

	for (unsigned long at = 0; read(from, &what, 1) == 1; at += SLICE) {
		for (unsigned long i = 0; i < SLICE; i++)
			if (!visit(worker, (at + i) % JOB_PAGES, owner,
				   (at + i) / JOB_PAGES))
				answer = 'x';
		if (write(to, &answer, 1) != 1)
			break;
	}
}

static void start(struct job *job, bool grouped)
{
	start_worker(&job->worker, JOB_PAGES, work);
	put_worker_in(&job->worker, CGROUPS, job->cgroup, "cgroup.procs");
	if (grouped)
		put_worker_in(&job->worker, GROUPS, job->group, "procs");
}

/* All jobs go through their memory side by side. */
static void one_pass(void)
{
	for (unsigned long at = 0; at < JOB_PAGES; at += SLICE) {
		EACH_JOB(job)
			order(&job->worker, 'w');
		EACH_JOB(job)
			wait_for(&job->worker);
	}
}

/* Count a job's swapped pages by device, from its page table. */
static void count(struct job *job)
{
	static uint64_t entries[JOB_PAGES];
	char path[64];
	int fd;

	memset(job->on, 0, sizeof(job->on));
	snprintf(path, sizeof(path), "/proc/%d/pagemap", job->worker.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, entries, sizeof(entries),
			    (uintptr_t)job->worker.memory / PAGE * sizeof(*entries)) !=
		      sizeof(entries))
		give_up("cannot read %s: %s", path, strerror(errno));
	close(fd);
	for (unsigned long i = 0; i < JOB_PAGES; i++)
		if (entries[i] >> 62 & 1 && (entries[i] & 31) < DEVICES)
			job->on[entries[i] & 31]++;
}

static unsigned long group_stat(const char *group, const char *key)
{
	return counter(GROUPS, group, "stat", key);
}

static void without_groups(void)
{
	unsigned long on_fast = 0, on_slow = 0;

	printf("\n3. Four jobs of 16 MiB, two in each cgroup, without policy groups:\n");
	EACH_JOB(job)
		start(job, false);
	one_pass();
	EACH_JOB(job) {
		count(job);
		on_fast += job->on[fast];
		on_slow += job->on[slow];
		printf("      %-7s %6lu pages on fast\n", job->worker.name, job->on[fast]);
		stop_worker(&job->worker);
	}
	printf("   The batch jobs sit on the fast device like the others (%lu pages on slow).\n"
	       "   A cgroup cannot help: each one holds jobs of both kinds.\n", on_slow);
	if (!on_fast)
		give_up("no memory pressure: nothing was swapped out");
}

static void with_groups(void)
{
	printf("\n4. Two policy groups, across the cgroups:\n"
	       "      latency   fast only, and strictly so     (web of shop, imap of mail)\n"
	       "      batch     slow, to leave fast to others  (report of shop, index of mail)\n");
	make_dir(GROUPS, "latency");
	put_in(GROUPS, "latency", "swap.tiers", "fast");
	put_in(GROUPS, "latency", "swap.strict", "1");
	make_dir(GROUPS, "batch");
	put_in(GROUPS, "batch", "swap.tiers", "slow");
	EACH_JOB(job)
		start(job, true);
	printf("\n5. The same four jobs again: they fill their memory, then go through it once\n"
	       "   more, which swaps everything in and out (some seconds, slow is slow) ...\n");
	fflush(stdout);
	one_pass();
	one_pass();
	EACH_JOB(job)
		count(job);
}

/* The table, and whether it is as promised. */
static bool report(void)
{
	static const char * const groups[] = { "latency", "batch" };
	bool held = true;

	printf("\n   job      cgroup   group      pages on fast   pages on slow\n");
	EACH_JOB(job) {
		bool strict = !strcmp(job->group, "latency");

		printf("   %-8s %-8s %-8s %15lu %15lu\n", job->worker.name, job->cgroup,
		       job->group, job->on[fast], job->on[slow]);
		if (strict ? job->on[slow] || !job->on[fast] : !job->on[slow])
			held = false;
	}
	printf("   (each job's page table, /proc/PID/pagemap)\n\n");
	for (int i = 0; i < 2; i++)
		printf("   group %-8s %6lu pages went to fast, %6lu to slow, %lu fell back\n",
		       groups[i], group_stat(groups[i], "swapout.fast"),
		       group_stat(groups[i], "swapout.slow"),
		       group_stat(groups[i], "swap_fallback"));
	printf("   (since the group was made: " GROUPS "/GROUP/stat)\n\n");
	show(TIERS "_usage");
	printf("   (tier, size and use in pages: " TIERS "_usage)\n\n");
	if (group_stat("latency", "swapout.slow"))
		held = false;
	return held;
}

int main(void)
{
	bool held;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (access(TIERS, W_OK) || access(GROUPS "/attributes", R_OK))
		give_up("this kernel has no swap tiers or no policy groups");
	find_devices();

	printf("\n1. Two swap devices; the names fast and slow are given to ranges of priorities:\n"
	       "      echo '+fast:100 +slow:-1' >" TIERS "\n");
	put(TIERS, "+fast:100 +slow:-1");
	show(TIERS);
	printf("\n2. Two cgroups, shop and mail, each limited to memory.max = " CGROUP_MAX ".\n");
	make_dir(CGROUPS, "shop");
	put_in(CGROUPS, "shop", "memory.max", CGROUP_MAX);
	make_dir(CGROUPS, "mail");
	put_in(CGROUPS, "mail", "memory.max", CGROUP_MAX);

	without_groups();
	with_groups();
	held = report();
	EACH_JOB(job)
		stop_worker(&job->worker);
	if (!held) {
		printf("   FAILED: the table is not what the groups promise.\n");
		return 1;
	}
	printf("   As promised: latency has 0 pages on slow, in spite of the pressure, batch made\n"
	       "   room for it, no cgroup was changed, and no page lost its contents.\n");
	return 0;
}
