/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the demo have in common: files of the kernel, and jobs that
 * their parent steers over a pipe and whose every page tells whose it is.
 */
#ifndef DEMO_H
#define DEMO_H

/* Not every program uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

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
#define PAGE		4096UL

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

static void remove_dir(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (rmdir(path))
		give_up("cannot remove %s: %s", path, strerror(errno));
}

/* A counter of a flat keyed file, DIR/NAME/FILE. */
static unsigned long counter(const char *dir, const char *name, const char *file,
			     const char *key)
{
	char path[128], text[8192];
	size_t len = strlen(key);

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
	get(path, text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtoul(line + len, NULL, 10);
	give_up("no line '%s' in %s", key, path);
}

/* A process that gets orders and sends answers, a byte each. */
struct worker {
	const char *name;
	pid_t pid;
	int work, done;
	char *memory;
	unsigned long pages;
};

/* Start it, with so much memory; its life is run(worker, orders, answers). */
static void start_worker(struct worker *worker, unsigned long pages,
			 void (*run)(struct worker *worker, int from, int to))
{
	int down[2], up[2];

	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		give_up("pipe: %s", strerror(errno));
	worker->pages = pages;
	worker->memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (worker->memory == MAP_FAILED)
		give_up("no memory for %s", worker->name);
	worker->pid = fork();
	if (worker->pid < 0)
		give_up("fork: %s", strerror(errno));
	if (!worker->pid) {
		close(down[1]);
		close(up[0]);
		run(worker, down[0], up[1]);
		_exit(0);
	}
	close(down[0]);
	close(up[1]);
	worker->work = down[1];
	worker->done = up[0];
}

static void put_worker_in(const struct worker *worker, const char *dir,
			  const char *name, const char *file)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", worker->pid);
	put_in(dir, name, file, pid);
}

static void order(const struct worker *worker, char what)
{
	if (write(worker->work, &what, 1) != 1)
		give_up("%s is gone", worker->name);
}

static void wait_for(const struct worker *worker)
{
	char answer;

	if (read(worker->done, &answer, 1) != 1 || answer != 'k')
		give_up("%s lost a page of its memory", worker->name);
}

static void stop_worker(const struct worker *worker)
{
	close(worker->work);
	close(worker->done);
	kill(worker->pid, SIGKILL);
	waitpid(worker->pid, NULL, 0);
	munmap(worker->memory, worker->pages * PAGE);
}

/*
 * Write a page, and look first whether what was left in it the last time is still
 * there: whose it is, which page, and how often it was visited.
 */
static bool visit(struct worker *worker, unsigned long page, unsigned int owner,
		  unsigned int pass)
{
	uint64_t *word = (uint64_t *)(worker->memory + page * PAGE);
	uint64_t want = (uint64_t)owner << 48 | page << 16;

	if (pass && *word != (want | (pass - 1)))
		return false;
	for (unsigned int i = 0; i < PAGE / sizeof(*word); i += 8)
		word[i] = want | pass;
	return true;
}

#endif /* DEMO_H */
