// SPDX-License-Identifier: GPL-2.0
/*
 * bench - what one operation costs, in instructions
 *
 * Usage: bench prices [ROW | COLUMN]...
 *        bench growth
 *
 * For a guest that QEMU runs with -icount shift=0: there the time stamp counter
 * counts the instructions of its only processor.  Prints lines of
 *
 *	price ROW COLUMN BEST MEDIAN MEAN WORST	instructions per operation
 *	growth WHAT N ROW BEST MEDIAN MEAN WORST
 *	bytes WHAT BYTES			slab memory of one of them
 *
 * A row is an operation, a column is the state of the process that does it.  Each
 * pair runs in a process of its own.  A kernel without policy groups does the same in
 * the columns of members, as nobody's member: what it pays there is what the others
 * are compared with, since the kernel's state is that of the same moment.
 */
#define _GNU_SOURCE
#include "wrappers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <x86intrin.h>

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define PAGES		2048UL
#define ROUNDS		9
#define MANY_ROUNDS	301	/* where one round is one operation, or few */
#define GROUPS		"/sys/fs/policy_group"
#define CGROUPS		"/sys/fs/cgroup"
#define LEAF		CGROUPS "/bench_leaf"
#define RAMFS		"/tmp/bench_ramfs"
#define TIERS		"/sys/kernel/mm/swap/tiers"
#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"

static void die(const char *what)
{
	printf("bench: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void check(bool good, const char *what)
{
	if (!good)
		die(what);
}

/* 0 or an error number. */
static int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno;
	err = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return err;
}

static void put(const char *path, const char *text)
{
	errno = try_write(path, text);
	check(!errno, path);
}

static size_t slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	check(fd >= 0, path);
	while ((n = read(fd, text + used, size - used - 1)) > 0)
		used += n;
	check(n == 0, path);
	close(fd);
	text[used] = '\0';
	return used;
}

/* The number behind @key in a file of "KEY VALUE" lines. */
static long value_in(const char *path, const char *key)
{
	static char text[65536];
	char *line, *save;
	size_t len = strlen(key);

	slurp(path, text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, key, len) && strchr(" :\t", line[len]))
			return atol(line + len + 1);
	errno = ENOENT;
	die(key);
	return -1;
}

static char *map(size_t size, int flags, int fd)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	check(mem != MAP_FAILED, "mmap");
	return mem;
}

/* Of anonymous memory, aligned for huge pages. */
static char *anon(size_t size, int advice)
{
	static char *fixed = (char *)0x300000000UL;
	char *mem = mmap(fixed, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	check(mem == fixed, "mmap");
	check(!madvise(mem, size, advice), "madvise");
	return mem;
}

static uint64_t now(void)
{
	return __rdtsc();
}

static uint64_t write_each(char *mem, size_t size, size_t step)
{
	uint64_t start = now();

	for (char *at = mem; at < mem + size; at += step)
		*(volatile uint64_t *)at = (uintptr_t)at | 1;
	return now() - start;
}

static uint64_t read_each(char *mem, size_t size, size_t step)
{
	uint64_t start = now();

	for (char *at = mem; at < mem + size; at += step)
		(void)*(volatile uint64_t *)at;
	return now() - start;
}

/* ---- Rows: each function is one round, and says how many operations that is ---- */

static uint64_t getppid_row(long *ops)
{
	uint64_t start = now();

	*ops = 10000;
	for (long i = 0; i < *ops; i++)
		syscall(SYS_getppid);
	return now() - start;
}

static uint64_t anon_row(long *ops)
{
	char *mem = anon(PAGES * PAGE, MADV_NOHUGEPAGE);
	uint64_t spent = write_each(mem, PAGES * PAGE, PAGE);

	munmap(mem, PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

static uint64_t huge_row(long *ops)
{
	char *mem = anon(16 * HUGE, MADV_HUGEPAGE);
	uint64_t spent = write_each(mem, 16 * HUGE, HUGE);

	munmap(mem, 16 * HUGE);
	*ops = 16;
	return spent;
}

static uint64_t shmem_row(long *ops)
{
	char *mem = map(PAGES * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	uint64_t spent = write_each(mem, PAGES * PAGE, PAGE);

	munmap(mem, PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

/* A file whose pages are in the page cache. */
static int cached_file(void)
{
	static char page[PAGE];
	static int fd = -1;

	if (fd >= 0)
		return fd;
	fd = open(RAMFS "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0, RAMFS "/file");
	memset(page, 1, sizeof(page));
	for (unsigned long i = 0; i < PAGES; i++)
		check(pwrite(fd, page, PAGE, i * PAGE) == (ssize_t)PAGE, "pwrite");
	return fd;
}

/* One page a fault: fault-around is for those who do not say "random". */
static uint64_t file_row(long *ops)
{
	char *mem = map(PAGES * PAGE, MAP_SHARED, cached_file());
	uint64_t spent;

	check(!madvise(mem, PAGES * PAGE, MADV_RANDOM), "MADV_RANDOM");
	spent = read_each(mem, PAGES * PAGE, PAGE);
	munmap(mem, PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

static uint64_t cow_row(long *ops)
{
	char *mem = map(PAGES * PAGE, MAP_PRIVATE, cached_file());
	uint64_t spent;

	read_each(mem, PAGES * PAGE, PAGE);
	spent = write_each(mem, PAGES * PAGE, PAGE);
	munmap(mem, PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

static void wait_for(pid_t pid)
{
	int status;

	check(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "child");
}

static uint64_t fork_row(long *ops)
{
	uint64_t start = now();
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
	*ops = 1;
	return now() - start;
}

static uint64_t exec_row(long *ops)
{
	uint64_t start = now();
	pid_t pid = fork();

	if (!pid) {
		execl("/proc/self/exe", "exit", NULL);
		_exit(1);
	}
	wait_for(pid);
	*ops = 1;
	return now() - start;
}

static uint64_t mmap_row(long *ops)
{
	uint64_t start = now();

	*ops = 200;
	for (long i = 0; i < *ops; i++)
		munmap(map(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), PAGE);
	return now() - start;
}

static char *swapped_out(uint64_t *spent)
{
	char *mem = anon(PAGES * PAGE, MADV_NOHUGEPAGE);
	uint64_t start;

	write_each(mem, PAGES * PAGE, PAGE);
	start = now();
	check(!madvise(mem, PAGES * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
	*spent = now() - start;
	return mem;
}

static uint64_t pageout_row(long *ops)
{
	uint64_t spent;

	munmap(swapped_out(&spent), PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

static uint64_t swapin_row(long *ops)
{
	uint64_t spent;
	char *mem = swapped_out(&spent);

	spent = read_each(mem, PAGES * PAGE, PAGE);
	munmap(mem, PAGES * PAGE);
	*ops = PAGES;
	return spent;
}

/* Reclaim from the lists, of a cgroup that has nothing but this memory. */
static uint64_t reclaim(const char *lru_gen, bool young, const char *counter,
			long *ops)
{
	char *mem, amount[64];
	uint64_t spent;
	long before;

	put(LRU_GEN, lru_gen);
	put(LEAF "/cgroup.procs", "0");
	mem = anon(PAGES * PAGE, MADV_NOHUGEPAGE);
	write_each(mem, PAGES * PAGE, PAGE);
	put("/proc/sys/vm/drop_caches", "1");
	if (!young)
		put("/proc/self/clear_refs", "1");
	snprintf(amount, sizeof(amount), "%lu swappiness=max",
		 young ? PAGE : PAGES * PAGE / 2);
	before = value_in(LEAF "/memory.stat", counter);
	spent = now();
	errno = try_write(LEAF "/memory.reclaim", amount);
	spent = now() - spent;
	check(!errno || errno == EAGAIN, "memory.reclaim");
	*ops = value_in(LEAF "/memory.stat", counter) - before;
	munmap(mem, PAGES * PAGE);
	put(CGROUPS "/cgroup.procs", "0");
	return spent;
}

static uint64_t reclaim_lru_row(long *ops)
{
	return reclaim("n", false, "pswpout", ops);
}

static uint64_t reclaim_mglru_row(long *ops)
{
	return reclaim("y", false, "pswpout", ops);
}

static uint64_t scan_lru_row(long *ops)
{
	return reclaim("n", true, "pgscan", ops);
}

/* ---- Rows: what is done with groups, and with cgroups beside them ---- */

static int group_fd[2] = { -1, -1 };

static int create_group(void)
{
	const struct policy_group_attr attr = { };
	int fd = policy_group_create(&attr, sizeof(attr), 0);

	check(fd >= 0, "policy_group_create");
	return fd;
}

static uint64_t attach_row(long *ops)
{
	const struct policy_group_target self = { };
	uint64_t start;

	*ops = 1000;
	for (int i = 0; i < 2; i++)
		if (group_fd[i] < 0)
			group_fd[i] = create_group();
	start = now();
	for (long i = 0; i < *ops; i++)
		if (policy_group_attach(group_fd[i % 2], &self, sizeof(self), 0))
			die("policy_group_attach");
	return now() - start;
}

static uint64_t with_a_group(long (*call)(int fd), const char *what, long *ops)
{
	int fd = create_group();
	uint64_t start = now();

	*ops = 1000;
	for (long i = 0; i < *ops; i++)
		if (call(fd))
			die(what);
	start = now() - start;
	close(fd);
	return start;
}

static long set_tiers(int fd)
{
	static const struct policy_group_tier tier = { .name = "fast" };
	static const struct policy_group_attr attr = {
		.set = POLICY_GROUP_ATTR_SWAP_TIERS,
		.swap_tiers = (uintptr_t)&tier, .swap_tiers_count = 1,
	};

	return policy_group_set(fd, &attr, sizeof(attr), 0);
}

static uint64_t set_row(long *ops)
{
	return with_a_group(set_tiers, "policy_group_set", ops);
}

/* What is looked up: the id. */
static long get_id(int fd)
{
	struct policy_group_attr attr = { };

	return policy_group_get(fd, &attr, sizeof(attr), 0);
}

static uint64_t get_row(long *ops)
{
	return with_a_group(get_id, "policy_group_get", ops);
}

static uint64_t create_row(long *ops)
{
	uint64_t start = now();

	*ops = 500;
	for (long i = 0; i < *ops; i++)
		close(create_group());
	return now() - start;
}

static uint64_t mkdir_rmdir(const char *path, long *ops)
{
	uint64_t start = now();

	*ops = 1;
	if (mkdir(path, 0755) || rmdir(path))
		die(path);
	return now() - start;
}

static uint64_t mkdir_row(long *ops)
{
	return mkdir_rmdir(GROUPS "/bench_dir", ops);
}

static uint64_t cgroup_mkdir_row(long *ops)
{
	return mkdir_rmdir(CGROUPS "/bench_dir", ops);
}

static uint64_t cgroup_attach_row(long *ops)
{
	int fd[2] = {
		open(CGROUPS "/cgroup.procs", O_WRONLY | O_CLOEXEC),
		open(LEAF "/cgroup.procs", O_WRONLY | O_CLOEXEC),
	};
	uint64_t start = now();

	*ops = 200;
	for (long i = 0; i < *ops; i++)
		if (write(fd[(i + 1) % 2], "0", 1) != 1)
			die("cgroup.procs");
	start = now() - start;
	close(fd[0]);
	close(fd[1]);
	return start;
}

enum needs {
	NOTHING,
	MEMCG = 1,
	OBJECT = 2,	/* the row is about groups themselves: one column */
	CGROUP = 4,	/* the same for cgroups */
};

static const struct row {
	const char *name;
	uint64_t (*round)(long *ops);
	int needs;
	int rounds;
} rows[] = {
	{ "getppid", getppid_row, NOTHING, ROUNDS },
	{ "fault_anon", anon_row, NOTHING, ROUNDS },
	{ "fault_huge", huge_row, NOTHING, ROUNDS },
	{ "fault_shmem", shmem_row, NOTHING, ROUNDS },
	{ "fault_file", file_row, NOTHING, ROUNDS },
	{ "fault_cow", cow_row, NOTHING, ROUNDS },
	{ "mmap_munmap", mmap_row, NOTHING, MANY_ROUNDS },
	{ "fork_exit", fork_row, NOTHING, MANY_ROUNDS },
	{ "fork_exec", exec_row, NOTHING, MANY_ROUNDS },
	{ "pageout", pageout_row, NOTHING, ROUNDS },
	{ "swapin", swapin_row, NOTHING, ROUNDS },
	{ "reclaim_lru", reclaim_lru_row, MEMCG, ROUNDS },
	{ "reclaim_mglru", reclaim_mglru_row, MEMCG, ROUNDS },
	{ "scan_lru", scan_lru_row, MEMCG, ROUNDS },
	{ "attach", attach_row, OBJECT, ROUNDS },
	{ "set", set_row, OBJECT, ROUNDS },
	{ "get", get_row, OBJECT, ROUNDS },
	{ "create_close", create_row, OBJECT, ROUNDS },
	{ "mkdir_rmdir", mkdir_row, OBJECT, MANY_ROUNDS },
	{ "attach", cgroup_attach_row, CGROUP, ROUNDS },
	{ "mkdir_rmdir", cgroup_mkdir_row, CGROUP, MANY_ROUNDS },
};

#define NR_ROWS	((int)(sizeof(rows) / sizeof(rows[0])))

/* ---- Columns ---- */

enum kind {
	AS_IS,		/* nobody is a member of anything */
	OTHERS,		/* others are members of a group, this process is not */
	MEMBER,		/* @arg: FILE=VALUE, separated by semicolons */
	IN_CGROUP,	/* @arg: the path below the root */
	POLICY,		/* set_mempolicy(@mode) of all nodes or the first one */
	NO_THP,
};

#define EVERYTHING	"swap.tiers=fast;swap.strict=1;reclaim.class=background;" \
			"oom.bias=1;oom.group=1"

/*
 * First those without any group: the static key of policy groups is down then.
 * A new attribute is one line.
 */
static const struct column {
	const char *name;
	enum kind kind;
	const char *arg;
	int mode;
} columns[] = {
	{ "none", AS_IS, "", 0 },
	{ "memcg_1", IN_CGROUP, "/bench_one", 0 },
	{ "memcg_3", IN_CGROUP, "/bench_three/two/one", 0 },
	{ "bind", POLICY, "", MPOL_BIND },
	{ "interleave", POLICY, "", MPOL_INTERLEAVE },
	{ "thp_off", NO_THP, "", 0 },
	{ "others", OTHERS, "", 0 },
	{ "member", MEMBER, "", 0 },
	{ "tier", MEMBER, "swap.tiers=fast", 0 },
	{ "other_tier", MEMBER, "swap.tiers=slow", 0 },
	{ "both_tiers", MEMBER, "swap.tiers=fast slow", 0 },
	{ "strict", MEMBER, "swap.tiers=fast;swap.strict=1", 0 },
	{ "oom", MEMBER, "oom.bias=1;oom.group=1", 0 },
	{ "background", MEMBER, "reclaim.class=background", 0 },
	{ "protected", MEMBER, "reclaim.class=protected", 0 },
	{ "boosted", MEMBER, "boost=60000", 0 },
	{ "everything", MEMBER, EVERYTHING, 0 },
	{ "everything_boosted", MEMBER, EVERYTHING ";boost=60000", 0 },
};

#define NR_COLUMNS	((int)(sizeof(columns) / sizeof(columns[0])))

static bool have_groups(void)
{
	return !access(GROUPS, W_OK);
}

static void make_group(const char *dir, const char *settings)
{
	char copy[256], path[256], *one, *value, *save;

	if (mkdir(dir, 0755) && errno != EEXIST)
		die(dir);
	snprintf(copy, sizeof(copy), "%s", settings);
	for (one = strtok_r(copy, ";", &save); one; one = strtok_r(NULL, ";", &save)) {
		value = strchr(one, '=');
		*value = '\0';
		snprintf(path, sizeof(path), "%s/%s", dir, one);
		put(path, value + 1);
	}
}

static void join_group(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/procs", dir);
	put(path, "0");
}

/* Each part of the path of a leaf; only a leaf may have processes. */
static void make_cgroups(const char *leaf)
{
	char path[256], control[300];

	for (const char *end = strchrnul(leaf + 1, '/');; end = strchrnul(end + 1, '/')) {
		snprintf(path, sizeof(path), CGROUPS "%.*s", (int)(end - leaf), leaf);
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
		if (!*end)
			return;
		snprintf(control, sizeof(control), "%s/cgroup.subtree_control", path);
		put(control, "+memory");
	}
}

static void join_cgroup(const char *leaf)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUPS "%s/cgroup.procs", leaf);
	put(path, "0");
}

static void enter(const struct column *column)
{
	unsigned long nodes = column->mode == MPOL_BIND ? 1 : 3;

	switch (column->kind) {
	case AS_IS:
	case OTHERS:
		break;
	case MEMBER:
		if (have_groups())
			join_group(GROUPS "/bench");
		break;
	case IN_CGROUP:
		join_cgroup(column->arg);
		break;
	case POLICY:
		check(!syscall(SYS_set_mempolicy, column->mode, &nodes, 64),
		      "set_mempolicy");
		break;
	case NO_THP:
		check(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "PR_SET_THP_DISABLE");
		break;
	}
}

static bool makes_sense(const struct row *row, const struct column *column)
{
	bool memcg = !access(CGROUPS "/memory.stat", F_OK);

	if (row->needs & OBJECT && !have_groups())
		return false;
	if ((column->kind == IN_CGROUP || row->needs & (MEMCG | CGROUP)) && !memcg)
		return false;
	if (row->needs & OBJECT)
		return !strcmp(column->name, "member");
	if (row->needs & CGROUP)
		return !strcmp(column->name, "memcg_1");
	/* The rows of reclaim have a cgroup of their own. */
	if (row->needs & MEMCG && column->kind == IN_CGROUP)
		return false;
	return true;
}

/* ---- Measuring ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct result {
	double best, median, mean, worst;
};

/*
 * Some rounds, after one that warms up.  The pause is for what the kernel has put
 * off, which would be counted with the next round: callbacks of RCU, work queues.
 */
static struct result measure(const struct row *row)
{
	const struct timespec settle = { .tv_nsec = 40000000 };
	double price[MANY_ROUNDS], sum = 0;

	for (int i = row->rounds == MANY_ROUNDS ? -60 : -1; i < row->rounds; i++) {
		long ops = 0;
		uint64_t spent;

		nanosleep(&settle, NULL);
		spent = row->round(&ops);
		errno = ENODATA;
		check(ops > 0, row->name);
		if (i >= 0)
			sum += price[i] = (double)spent / ops;
	}
	qsort(price, row->rounds, sizeof(price[0]), by_value);
	return (struct result){
		.best = price[0],
		.median = price[row->rounds / 2],
		.mean = sum / row->rounds,
		.worst = price[row->rounds - 1],
	};
}

static void run_in_child(const struct row *row, const struct column *column,
			 bool silent)
{
	struct result result;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid) {
		wait_for(pid);
		return;
	}
	enter(column);
	result = measure(row);
	if (!silent)
		printf("price %s %s %.2f %.2f %.2f %.2f\n", row->name, column->name,
		       result.best, result.median, result.mean, result.worst);
	fflush(stdout);
	_exit(0);
}

/* Somebody who is a member all the time. */
static pid_t start_member(const char *dir)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	check(!pipe(ready), "pipe");
	pid = fork();
	check(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dir)
			join_group(dir);
		check(write(ready[1], &byte, 1) == 1, "write");
		for (;;)
			pause();
	}
	close(ready[1]);
	check(read(ready[0], &byte, 1) == 1, "a member");
	close(ready[0]);
	return pid;
}

static void end_member(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Every page once: a RAM disk has no memory before that, and makes it on the way. */
static void fill(const char *device)
{
	static char block[1 << 20];
	int fd = open(device, O_RDWR | O_CLOEXEC);

	check(fd >= 0, device);
	for (off_t at = 0;; at += sizeof(block)) {
		if (pread(fd, block, sizeof(block), at) <= 0)
			break;
		check(pwrite(fd, block, sizeof(block), at) > 0, device);
	}
	check(!fsync(fd), device);
	close(fd);
}

static void swap_on(void)
{
	fill(getenv("SWAP_FAST") ?: "");
	fill(getenv("SWAP_SPARE") ?: "");
	if (!access(TIERS, W_OK))
		put(TIERS, "+slow:-1 +fast:50");
	check(!swapon(getenv("SWAP_FAST") ?: "", SWAP_FLAG_PREFER | 100), "SWAP_FAST");
	check(!swapon(getenv("SWAP_SPARE") ?: "", SWAP_FLAG_PREFER | 10), "SWAP_SPARE");
}

static void prepare(void)
{
	if (mkdir(RAMFS, 0700) || mount("ramfs", RAMFS, "ramfs", 0, NULL))
		die(RAMFS);
	swap_on();
	if (access(CGROUPS "/memory.stat", F_OK))
		return;
	if (mkdir(LEAF, 0755))
		die(LEAF);
	for (int i = 0; i < NR_COLUMNS; i++)
		if (columns[i].kind == IN_CGROUP)
			make_cgroups(columns[i].arg);
}

static bool among(const char *name, char **names)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* Of rows and columns, those that are named; all of them when none is. */
static bool wanted(const struct row *row, const struct column *column, char **names)
{
	bool some_row = false, some_column = false;

	for (int r = 0; r < NR_ROWS; r++)
		some_row |= among(rows[r].name, names);
	for (int c = 0; c < NR_COLUMNS; c++)
		some_column |= among(columns[c].name, names);
	return (!some_row || among(row->name, names)) &&
	       (!some_column || among(column->name, names));
}

static void prices(char **names)
{
	prepare();
	/*
	 * By columns, so that the key is down in the first ones.  The first one twice:
	 * memory that was never used is cheaper or dearer than what comes and goes.
	 */
	for (int c = -1; c < NR_COLUMNS; c++) {
		const struct column *column = &columns[c < 0 ? 0 : c];
		bool grouped = column->kind == OTHERS || column->kind == MEMBER;
		pid_t other = 0;

		if (grouped && have_groups())
			make_group(GROUPS "/bench", column->arg);
		if (grouped)
			other = start_member(have_groups() ? GROUPS "/bench" : NULL);
		for (int r = 0; r < NR_ROWS; r++) {
			if (makes_sense(&rows[r], column) && wanted(&rows[r], column, names))
				run_in_child(&rows[r], column, c < 0);
		}
		if (other) {
			end_member(other);
			check(!have_groups() || !rmdir(GROUPS "/bench"), "rmdir");
		}
	}
}

/* ---- Growth ---- */

/* In the slab caches whose names begin with @prefix. */
static long slab_bytes(const char *prefix)
{
	static char text[262144];
	char *line, *save;
	long sum = 0;

	slurp("/proc/slabinfo", text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char name[64];
		long active, all, size;

		if (sscanf(line, "%63s %ld %ld %ld", name, &active, &all, &size) == 4 &&
		    !strncmp(name, prefix, strlen(prefix)))
			sum += active * size;
	}
	return sum;
}

static uint64_t procs_row(long *ops)
{
	static char text[262144];
	uint64_t start = now();

	*ops = 1;
	slurp(GROUPS "/bench/procs", text, sizeof(text));
	return now() - start;
}

static void grown(const char *what, long n)
{
	static const struct row grown_rows[] = {
		{ "fault_anon", anon_row, NOTHING, ROUNDS },
		{ "fork_exit", fork_row, NOTHING, MANY_ROUNDS },
		{ "attach", attach_row, NOTHING, ROUNDS },
		{ "procs", procs_row, NOTHING, ROUNDS },
	};

	for (int i = 0; i < 4; i++) {
		struct result result;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid) {
			wait_for(pid);
			continue;
		}
		join_group(GROUPS "/bench");
		/* To the group that has grown, and away again. */
		group_fd[0] = open(GROUPS "/bench", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check(group_fd[0] >= 0, GROUPS "/bench");
		result = measure(&grown_rows[i]);
		printf("growth %s %ld %s %.2f %.2f %.2f %.2f\n", what, n,
		       grown_rows[i].name, result.best, result.median, result.mean,
		       result.worst);
		fflush(stdout);
		_exit(0);
	}
}

#define MANY	10000

/* What the kernel gives back when it needs memory. */
static void drop_slab(void)
{
	put("/proc/sys/vm/drop_caches", "2");
}

/*
 * What a directory takes for good, and with the inodes and dentries of its files that
 * were opened: those the VFS keeps until memory is needed.
 */
static void weigh_directories(long before, long n)
{
	long cached = slab_bytes("") - before;

	drop_slab();
	printf("bytes directory %ld\n", (slab_bytes("") - before) / n);
	printf("bytes directory_cached %ld\n", cached / n);
}

static void grow_groups(void)
{
	static const long steps[] = { 1, 100, MANY };
	long have = 1, before;
	char path[128];
	pid_t other;

	/* An attach is not to be that of the first member, which is an event. */
	other = start_member(GROUPS "/bench");
	drop_slab();
	before = slab_bytes("");

	for (int i = 0; i < 3; i++) {
		for (; have < steps[i]; have++) {
			snprintf(path, sizeof(path), GROUPS "/many_%ld", have);
			make_group(path, EVERYTHING);
		}
		if (steps[i] == MANY)
			weigh_directories(before, MANY - 1);
		grown("groups", steps[i]);
	}
	end_member(other);
	for (long n = 1; n < have; n++) {
		snprintf(path, sizeof(path), GROUPS "/many_%ld", n);
		check(!rmdir(path), path);
	}
}

/* The group and its policy are from kmalloc(), the descriptor is not. */
static void weigh_anonymous(void)
{
	struct policy_group_tier tier = { .name = "fast" };
	const struct policy_group_attr attr = {
		.set = POLICY_GROUP_ATTR_SWAP_TIERS,
		.swap_tiers = (uintptr_t)&tier, .swap_tiers_count = 1,
	};
	long group = slab_bytes("kmalloc"), all = slab_bytes("");
	static int fd[1000];

	for (int i = 0; i < 1000; i++) {
		fd[i] = policy_group_create(&attr, sizeof(attr), 0);
		check(fd[i] >= 0, "policy_group_create");
	}
	group = slab_bytes("kmalloc") - group;
	all = slab_bytes("") - all;
	printf("bytes anonymous %ld\nbytes descriptor %ld\n", group / 1000,
	       (all - group) / 1000);
	for (int i = 0; i < 1000; i++)
		close(fd[i]);
}

/* @dir is the group of them, or NULL: what processes cost that are no members. */
static void grow_processes(const char *what, const char *dir)
{
	static const long steps[] = { 1, 1000, MANY };
	static pid_t pid[MANY];
	long have = 0;

	for (int i = 0; i < 3; i++) {
		for (; have < steps[i]; have++)
			pid[have] = start_member(dir);
		grown(what, steps[i]);
	}
	while (have)
		end_member(pid[--have]);
}

static void growth(void)
{
	const struct rlimit files = { 4096, 4096 }, processes = { 20000, 20000 };

	check(have_groups(), "policy groups");
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NPROC, &processes);
	put("/proc/sys/kernel/pid_max", "32768");
	put("/proc/sys/kernel/threads-max", "30000");
	put("/proc/sys/user/max_policy_groups", "30000");
	swap_on();
	make_group(GROUPS "/bench", EVERYTHING);
	weigh_anonymous();
	grow_groups();
	grow_processes("processes", NULL);
	grow_processes("members", GROUPS "/bench");
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "exit"))
		_exit(0);
	if (argc >= 2 && !strcmp(argv[1], "prices")) {
		prices(argv + 2);
	} else if (argc == 2 && !strcmp(argv[1], "growth")) {
		growth();
	} else {
		fprintf(stderr,
			"usage: bench prices [ROW | COLUMN]... | bench growth\n");
		return 2;
	}
	printf("bench: done\n");
	return 0;
}
