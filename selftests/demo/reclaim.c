// SPDX-License-Identifier: GPL-2.0
/*
 * The demo of reclaim classes and boost: two jobs in one cgroup, together twice as
 * large as the cgroup may be.  scripts/demo reclaim boots a guest that runs this.
 *
 * What is in the tables comes from the kernel: major faults from /proc/PID/stat,
 * refaults and scanned pages from memory.stat, kept pages from the groups' stat.
 * Only the pages that a job has touched are its own count.
 *
 * The guest has one processor, whose clock counts instructions (-icount), so a
 * microsecond is a thousand instructions on every machine.  The job in front has a
 * fixed number of pages to touch, and pauses; the one in the background runs as much
 * as there is time for, so the processor is never idle.  The throughput, pages
 * touched by both in a millisecond, is what reclaim leaves of it.
 */
#define _GNU_SOURCE
#include <time.h>

#include "demo.h"

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define CGROUP		"desktop"
#define MEMORY_MAX	"12M"
#define JOB_PAGES	3072UL		/* 12 MiB each */
#define FRONT_PAGES	2048UL		/* 8 MiB of them are what a job in front works on */
#define LOW		"8704K"		/* that, and its page tables and stacks */
#define CHUNK		256UL		/* pages between two pauses */
#define PAUSE_US	10000
#define ROUNDS		4		/* the first one brings the pages in */
#define BOOST_MS	10000

enum { EDITOR, INDEXER, JOBS };

static struct worker jobs[JOBS] = {
	[EDITOR] = { .name = "editor" },
	[INDEXER] = { .name = "indexer" },
};

/* How memory is shared out. */
static const struct setup {
	const char *key, *name;
	bool groups, low;
} setups[] = {
	{ "none", "no groups", false, false },
	{ "groups", "groups", true, false },
	{ "low", "memory.low", false, true },
	{ "both", "both", true, true },
};

enum { NONE, GROUPS_ONLY, LOW_ONLY, BOTH, SETUPS };

static const struct phase {
	const char *key, *name;
	int front;
	bool boost;
} phases[] = {
	{ "steady", "1. the editor is in front", EDITOR, false },
	{ "switch", "2. the indexer comes to the front", INDEXER, false },
	{ "boost", "3. the editor comes back, with a boost", EDITOR, true },
};

enum { STEADY, SWITCH, BOOST, PHASES };

static const struct lru {
	const char *key, *name, *value;
} lrus[] = {
	{ "classic", "classic LRU", "n" },
	{ "mglru", "MGLRU", "y" },
};

/* What a phase was like. */
struct result {
	unsigned long first;		/* major faults of the front: first round */
	unsigned long after;		/* and in the others */
	unsigned long front, back;	/* pages touched */
	unsigned long refaults, scanned, reclaimed, kept, breached;
	double us;
};

static struct result results[SETUPS][PHASES];

/* What the jobs tell each other and their parent. */
static struct {
	volatile bool stop;
	volatile unsigned long touched[JOBS];
} *shared;

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

/*
 * A job's life: to be in front for a round, or behind until it is told to stop.  It
 * begins with all of its memory ('f'); the editor has opened what it works on, no more.
 */
static void work(struct worker *worker, int from, int to)
{
	static uint16_t passes[JOB_PAGES];
	int me = worker - jobs;
	unsigned long behind = 0;
	char answer = 'k';
	char what;

	while (read(from, &what, 1) == 1) {
		unsigned long left = what == 'r' || me == EDITOR ? FRONT_PAGES : worker->pages;

		for (unsigned long i = 0; what == 'b' ? !shared->stop : i < left; i++) {
			unsigned long page = i;

			if (what == 'r') {
				/* In no order, but each page once. */
				page = i * 1237 % FRONT_PAGES;
				if (i % CHUNK == 0)
					usleep(PAUSE_US);
			} else if (what == 'b') {
				page = behind++ % worker->pages;
			}
			if (!visit(worker, page, me + 1, passes[page]++))
				answer = 'x';
			shared->touched[me]++;
		}
		if (write(to, &answer, 1) != 1)
			break;
	}
}

static unsigned long major_faults(const struct worker *worker)
{
	char path[64], text[1024];
	unsigned long faults;
	char *rest;

	snprintf(path, sizeof(path), "/proc/%d/stat", worker->pid);
	get(path, text, sizeof(text));
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %lu", &faults) != 1)
		give_up("no major faults in %s", path);
	return faults;
}

/* Add what the kernel has counted so far, or take it away again. */
static void count(struct result *result, const struct setup *setup, long sign)
{
	result->refaults += sign * counter(CGROUPS, CGROUP, "memory.stat",
					   "workingset_refault_anon");
	result->scanned += sign * counter(CGROUPS, CGROUP, "memory.stat", "pgscan");
	result->reclaimed += sign * counter(CGROUPS, CGROUP, "memory.stat", "pgsteal");
	for (int i = 0; setup->groups && i < JOBS; i++) {
		result->kept += sign * counter(GROUPS, jobs[i].name, "stat",
					       "protected_kept");
		result->breached += sign * counter(GROUPS, jobs[i].name, "stat",
						   "protected_breached");
	}
	result->us += sign * now_us();
}

/* Who is in front now, as far as the set-up can tell the kernel. */
static void prefer(const struct setup *setup, const struct phase *phase)
{
	for (int i = 0; i < JOBS; i++) {
		bool front = i == phase->front;

		if (setup->low)
			put_in(CGROUPS "/" CGROUP, jobs[i].name, "memory.low",
			       front ? LOW : "0");
		if (!setup->groups)
			continue;
		put_in(GROUPS, jobs[i].name, "reclaim.class",
		       front && !phase->boost ? "protected" : "background");
		if (front && phase->boost) {
			char ms[16];

			snprintf(ms, sizeof(ms), "%d", BOOST_MS);
			put_in(GROUPS, jobs[i].name, "boost", ms);
		}
	}
}

static unsigned long boost_left(const struct worker *worker)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), GROUPS "/%s/boost", worker->name);
	get(path, text, sizeof(text));
	return strtoul(text, NULL, 10);
}

/* The boost that a phase began must outlast it, and then end by itself. */
static void end_boost(const struct worker *worker)
{
	unsigned long left = boost_left(worker);

	if (!left)
		give_up("the boost of %d ms is over before the phase", BOOST_MS);
	usleep(left * 1000 + 20000);
	if (boost_left(worker))
		give_up("the boost does not end");
}

static void run_phase(const struct setup *setup, const struct phase *phase,
		      struct result *result)
{
	struct worker *front = &jobs[phase->front];
	struct worker *back = &jobs[!phase->front];
	unsigned long faults, touched = shared->touched[!phase->front];

	prefer(setup, phase);
	shared->stop = false;
	count(result, setup, -1);
	order(back, 'b');
	for (int round = 0; round < ROUNDS; round++) {
		faults = major_faults(front);
		order(front, 'r');
		wait_for(front);
		*(round ? &result->after : &result->first) += major_faults(front) - faults;
	}
	shared->stop = true;
	wait_for(back);
	count(result, setup, 1);
	result->front = ROUNDS * FRONT_PAGES;
	result->back = shared->touched[!phase->front] - touched;
	if (setup->groups && phase->boost)
		end_boost(front);
}

/* Cgroups and groups of a set-up; all that is in "desktop" is limited together. */
static void make_dirs(const struct setup *setup)
{
	make_dir(CGROUPS, CGROUP);
	put_in(CGROUPS, CGROUP, "memory.max", MEMORY_MAX);
	if (setup->low)
		put_in(CGROUPS, CGROUP, "cgroup.subtree_control", "+memory");
	for (int i = 0; i < JOBS; i++) {
		if (setup->low)
			make_dir(CGROUPS "/" CGROUP, jobs[i].name);
		if (setup->groups)
			make_dir(GROUPS, jobs[i].name);
	}
}

static void remove_dirs(const struct setup *setup)
{
	for (int i = 0; i < JOBS; i++) {
		if (setup->low)
			remove_dir(CGROUPS "/" CGROUP, jobs[i].name);
		if (setup->groups)
			remove_dir(GROUPS, jobs[i].name);
	}
	remove_dir(CGROUPS, CGROUP);
}

/* The jobs, from the beginning, in one cgroup, or in two below it for memory.low. */
static void run_setup(const struct setup *setup, struct result *result)
{
	make_dirs(setup);
	for (int i = 0; i < JOBS; i++) {
		start_worker(&jobs[i], JOB_PAGES, work);
		put_worker_in(&jobs[i], CGROUPS "/" CGROUP, setup->low ? jobs[i].name : ".",
			      "cgroup.procs");
		if (setup->groups)
			put_worker_in(&jobs[i], GROUPS, jobs[i].name, "procs");
	}
	prefer(setup, &phases[STEADY]);
	for (int i = 0; i < JOBS; i++) {
		order(&jobs[i], 'f');
		wait_for(&jobs[i]);
	}
	for (int i = 0; i < PHASES; i++)
		run_phase(setup, &phases[i], &result[i]);
	for (int i = 0; i < JOBS; i++)
		stop_worker(&jobs[i]);
	remove_dirs(setup);
}

static double throughput(const struct result *result)
{
	return (result->front + result->back) * 1000 / result->us;
}

static void table(const struct lru *lru)
{
	printf("\n%s\n\n"
	       "                job in front:        behind:  the cgroup:            both:  groups:\n"
	       "                major faults           pages    pages  scanned per   pages   pages  not\n"
	       "                coming in   later    touched refaults    reclaimed  per ms    kept kept\n",
	       lru->name);
	for (int p = 0; p < PHASES; p++) {
		printf("   %s\n", phases[p].name);
		for (int s = 0; s < SETUPS; s++) {
			struct result *r = &results[s][p];

			printf("     %-11s %8lu %7lu %10lu %8lu %12.2f %7.1f", setups[s].name,
			       r->first, r->after, r->back, r->refaults,
			       r->reclaimed ? (double)r->scanned / r->reclaimed : 0,
			       throughput(r));
			if (setups[s].groups)
				printf(" %7lu %4lu", r->kept, r->breached);
			printf("\n");
		}
	}
}

/* For scripts/demo --record. */
static void record(const struct lru *lru)
{
	for (int p = 0; p < PHASES; p++)
		for (int s = 0; s < SETUPS; s++) {
			struct result *r = &results[s][p];

			printf("@reclaim\t%s\t%s\t%s\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\t%.1f\t%lu\t%lu\n",
			       lru->key, phases[p].key, setups[s].key, r->first, r->after,
			       r->back, r->refaults, r->scanned, r->reclaimed,
			       throughput(r), r->kept, r->breached);
		}
}

/* One target in one phase. */
static bool target(const struct lru *lru, const struct phase *phase, const char *what,
		   double got, double limit, bool met)
{
	printf("@target\t%s\t%s\t%s\t%.2f\t%.2f\t%s\n", lru->key, phase->key, what, got,
	       limit, met ? "met" : "MISSED");
	printf("      %-6s  %-6s  %9.2f  (%.2f)  %s\n", met ? "met" : "MISSED", phase->key, got,
	       limit, what);
	return met;
}

/* Are the targets reached?  What must hold in any case is not among them. */
static int judge(const struct lru *lru)
{
	int missed = 0;

	printf("\n   What policy groups are to reach; \"faults\" are those of the job in front:\n");
	for (int p = 0; p < PHASES; p++) {
		struct result *none = &results[NONE][p], *groups = &results[GROUPS_ONLY][p];
		struct result *low = &results[LOW_ONLY][p];
		unsigned long all = groups->first + groups->after;
		double share = 100.0 * groups->after / none->after;
		double all_share = 100.0 * all / (none->first + none->after);
		double pace = throughput(groups) / throughput(none);

		missed += !target(lru, &phases[p], "later faults, per cent of those without groups",
				  share, 5, share <= 5);
		missed += !target(lru, &phases[p], "later faults, with memory.low in the place of the target",
				  groups->after, low->after, groups->after <= low->after);
		missed += !target(lru, &phases[p], "all faults, per cent of those without groups",
				  all_share, 5, all_share <= 5);
		missed += !target(lru, &phases[p], "all faults, with memory.low in the place of the target",
				  all, low->first + low->after, all <= low->first + low->after);
		missed += !target(lru, &phases[p], "throughput of both, of that without groups",
				  pace, 0.95, pace >= 0.95);
		missed += !target(lru, &phases[p], "pages that the job behind has touched",
				  groups->back, 1, groups->back >= 1);
	}
	return missed;
}

/*
 * What must hold, or something is broken.  Protection may be suspended while there is
 * hardly anything else to reclaim: here, when the job in front has more pages than it
 * goes through.  But then that is counted, and the job is better off all the same.
 */
static void insist(const struct lru *lru)
{
	for (int p = 0; p < PHASES; p++) {
		struct result *none = &results[NONE][p], *groups = &results[GROUPS_ONLY][p];

		if (none->after < FRONT_PAGES / 10)
			give_up("%s, phase %s: no pressure, %lu faults without groups",
				lru->name, phases[p].key, none->after);
		if (groups->after > groups->breached)
			give_up("%s, phase %s: groups do not protect: %lu later faults, %lu pages breached",
				lru->name, phases[p].key, groups->after, groups->breached);
		if (groups->after * 2 > none->after)
			give_up("%s, phase %s: groups protect little: %lu later faults, %lu without",
				lru->name, phases[p].key, groups->after, none->after);
		for (int s = 0; s < SETUPS; s++)
			if (!results[s][p].back)
				give_up("%s, phase %s, %s: the job behind stands still",
					lru->name, phases[p].key, setups[s].name);
	}
}

int main(void)
{
	char before[64];
	int missed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (access(GROUPS "/attributes", R_OK))
		give_up("this kernel has no policy groups");
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		give_up("no memory");
	shared->stop = true;
	get(LRU_GEN, before, sizeof(before));
	printf("\nTwo jobs of 12 MiB, an editor and an indexer, share a cgroup of " MEMORY_MAX ".  The one\n"
	       "in front goes through 8 MiB now and then, the one behind through all it has, as\n"
	       "fast as it can.  Who is in front is told to the kernel by reclaim.class (and in the\n"
	       "end by boost) of two policy groups, or by memory.low = " LOW " of two cgroups.\n");
	for (size_t i = 0; i < sizeof(lrus) / sizeof(*lrus); i++) {
		put(LRU_GEN, "%s", lrus[i].value);
		memset(results, 0, sizeof(results));
		for (int s = 0; s < SETUPS; s++)
			run_setup(&setups[s], results[s]);
		table(&lrus[i]);
		record(&lrus[i]);
		missed += judge(&lrus[i]);
		insist(&lrus[i]);
	}
	put(LRU_GEN, "%s", before);
	printf("\n   Each boost ended by itself.  %s%d of the targets missed.\n",
	       missed ? "" : "All targets met: ", missed);
	return 0;
}
