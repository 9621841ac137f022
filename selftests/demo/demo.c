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
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS		"/sys/fs/cgroup"
#define GROUPS		"/sys/fs/policy_group"
#define TIERS		"/sys/kernel/mm/swap/tiers"
#define PAGE		4096UL
#define JOB_PAGES	4096UL		/* 16 MiB each, so 32 MiB in a cgroup */
#define CGROUP_MAX	"16M"
#define SLICE		256UL		/* pages a job touches before the next one may */
#define DEVICES		8

/* A job; the parent steers it over a pipe, one byte for each slice of work. */
struct job {
	const char *name, *cgroup, *group;
	pid_t pid;
	int work, done;
	char *memory;
	unsigned long on[DEVICES];
};

static struct job jobs[] = {
	{ .name = "web", .cgroup = "shop", .group = "latency" },
	{ .name = "report", .cgroup = "shop", .group = "batch" },
	{ .name = "imap", .cgroup = "mail", .group = "latency" },
	{ .name = "index", .cgroup = "mail", .group = "batch" },
};

#define JOBS (sizeof(jobs) / sizeof(*jobs))
#define EACH_JOB(job) for (struct job *job = jobs; job < jobs + JOBS; job++)

static int fast = -1, slow = -1;	/* numbers of the swap devices */

static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("demo: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	kill(0, SIGTERM);
	exit(1);
}

static void __attribute__((format(printf, 2, 3)))
put(const char *path, const char *format, ...)
{
	char text[128];
	va_list args;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up("cannot write '%s' to %s: %s", text, path, strerror(errno));
	close(fd);
}

/* The same below a directory: put_in(DIR, NAME, FILE, VALUE). */
static void put_in(const char *dir, const char *name, const char *file,
		   const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
	put(path, "%s", value);
}

static void get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		give_up("cannot read %s: %s", path, strerror(errno));
	text[n] = 0;
	close(fd);
}

static void make_dir(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkdir(path, 0755) && errno != EEXIST)
		give_up("cannot make %s: %s", path, strerror(errno));
}

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

/* Fill or check one page; what stands in it tells job, page and pass. */
static bool visit(struct job *job, unsigned long page, unsigned int pass)
{
	uint64_t *word = (uint64_t *)(job->memory + page * PAGE);
	uint64_t want = (uint64_t)(job - jobs + 1) << 48 | page << 8;

	if (pass && *word != (want | (pass - 1)))
		return false;
	for (unsigned int i = 0; i < PAGE / sizeof(*word); i += 8)
		word[i] = want | pass;
	return true;
}

/* A job's life: for each byte from the parent one slice of its memory. */
static void work(struct job *job, int from, int to)
{
	char answer = 'k';
	char order;

	for (unsigned long at = 0; read(from, &order, 1) == 1; at += SLICE) {
		for (unsigned long i = 0; i < SLICE; i++) {
			unsigned int pass = (at + i) / JOB_PAGES;

			if (!visit(job, (at + i) % JOB_PAGES, pass))
				answer = 'x';
		}
		if (write(to, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

static void start(struct job *job, bool grouped)
{
	int down[2], up[2];
	char pid[16];

	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		give_up("pipe: %s", strerror(errno));
	job->memory = mmap(NULL, JOB_PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (job->memory == MAP_FAILED)
		give_up("no memory for %s", job->name);
	job->pid = fork();
	if (job->pid < 0)
		give_up("fork: %s", strerror(errno));
	if (!job->pid) {
		close(down[1]);
		close(up[0]);
		work(job, down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	job->work = down[1];
	job->done = up[0];
	snprintf(pid, sizeof(pid), "%d", job->pid);
	put_in(CGROUPS, job->cgroup, "cgroup.procs", pid);
	if (grouped)
		put_in(GROUPS, job->group, "procs", pid);
}

/* All jobs go through their memory side by side. */
static void one_pass(void)
{
	char answer;

	for (unsigned long at = 0; at < JOB_PAGES; at += SLICE) {
		EACH_JOB(job)
			if (write(job->work, "w", 1) != 1)
				give_up("%s is gone", job->name);
		EACH_JOB(job)
			if (read(job->done, &answer, 1) != 1 || answer != 'k')
				give_up("%s lost a page of its memory", job->name);
	}
}

/* Count a job's swapped pages by device, from its page table. */
static void count(struct job *job)
{
	static uint64_t entries[JOB_PAGES];
	char path[64];
	int fd;

	memset(job->on, 0, sizeof(job->on));
	snprintf(path, sizeof(path), "/proc/%d/pagemap", job->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, entries, sizeof(entries),
			    (uintptr_t)job->memory / PAGE * sizeof(*entries)) !=
		      sizeof(entries))
		give_up("cannot read %s: %s", path, strerror(errno));
	close(fd);
	for (unsigned long i = 0; i < JOB_PAGES; i++)
		if (entries[i] >> 62 & 1 && (entries[i] & 31) < DEVICES)
			job->on[entries[i] & 31]++;
}

static void stop(struct job *job)
{
	close(job->work);
	close(job->done);
	kill(job->pid, SIGKILL);
	waitpid(job->pid, NULL, 0);
	munmap(job->memory, JOB_PAGES * PAGE);
}

/* A counter of a group's stat file. */
static unsigned long group_stat(const char *group, const char *key)
{
	char path[128], text[4096];
	size_t len = strlen(key);

	snprintf(path, sizeof(path), GROUPS "/%s/stat", group);
	get(path, text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtoul(line + len, NULL, 10);
	give_up("no line '%s' in %s", key, path);
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
		printf("      %-7s %6lu pages on fast\n", job->name, job->on[fast]);
		stop(job);
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

		printf("   %-8s %-8s %-8s %15lu %15lu\n", job->name, job->cgroup,
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
		stop(job);
	if (!held) {
		printf("   FAILED: the table is not what the groups promise.\n");
		return 1;
	}
	printf("   As promised: latency has 0 pages on slow, in spite of the pressure, batch made\n"
	       "   room for it, no cgroup was changed, and no page lost its contents.\n");
	return 0;
}
