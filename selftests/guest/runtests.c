// SPDX-License-Identifier: GPL-2.0
/*
 * runtests SECONDS PROGRAM...: run test programs one after the other.
 *
 * Around the output of each stands a line "#@ BEGIN NAME" and one
 * "#@ END NAME STATUS", where STATUS is an exit code, "signal N", "timeout" or
 * "error ERRNO", behind a line "#@ TIME NAME SECONDS".  Not a shell, because a shell would take a program that the
 * kernel cannot run for a script.  After each program its left-over processes
 * are killed and left-over swap devices are switched off, so that one failure
 * does not bring forth others.
 *
 * Before the first program the RAM disk that SWAP_FAST names is written from end
 * to end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void stop_swap(void)
{
	char line[256], device[128];
	FILE *swaps = fopen("/proc/swaps", "re");

	if (!swaps)
		return;
	while (fgets(line, sizeof(line), swaps)) {
		if (sscanf(line, "%127s", device) != 1 || device[0] != '/')
			continue;
		printf("#@ LEFT swap on %s\n", device);
		if (swapoff(device))
			printf("#@ LEFT swapoff: %s\n", strerror(errno));
	}
	fclose(swaps);
}

static long now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Wait for @pid, at most @seconds; -1 when the time is over. */
static int wait_for(pid_t pid, long seconds, int *status)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	const long end = now_seconds() + seconds;

	for (;;) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid)
			return 0;
		if (now_seconds() > end)
			return -1;
		nanosleep(&tick, NULL);
	}
}

static int run(const char *program, long seconds)
{
	char *argv[] = { (char *)program, NULL };
	const char *name = strrchr(program, '/');
	int status = 0, error[2], code = 0, late;
	long start = now_seconds();
	pid_t pid;

	name = name ? name + 1 : program;
	printf("#@ BEGIN %s\n", name);
	fflush(stdout);
	if (pipe2(error, O_CLOEXEC))
		return 1;
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		execv(program, argv);
		code = errno;
		if (write(error[1], &code, sizeof(code)) < 0)
			_exit(125);
		_exit(126);
	}
	close(error[1]);
	if (pid < 0 || read(error[0], &code, sizeof(code)) > 0) {
		if (pid > 0)
			waitpid(pid, NULL, 0);
		printf("\n#@ END %s error %d\n", name, code);
		close(error[0]);
		return 1;
	}
	close(error[0]);
	setpgid(pid, pid);
	late = wait_for(pid, seconds, &status);
	kill(-pid, SIGKILL);
	printf("\n#@ TIME %s %ld\n", name, now_seconds() - start);
	if (late) {
		waitpid(pid, NULL, 0);
		printf("#@ END %s timeout\n", name);
		status = 1;
	} else if (WIFSIGNALED(status)) {
		printf("#@ END %s signal %d\n", name, WTERMSIG(status));
	} else {
		printf("#@ END %s %d\n", name, WEXITSTATUS(status));
	}
	stop_swap();
	fflush(stdout);
	return status != 0;
}

/*
 * A RAM disk takes a page of memory for each one that is written for the first
 * time, on the node of whoever writes it.  The tests use the first node: after
 * some of them nothing would be left there, and what the next ones see would be
 * reclaim for want of that.  So all of it is taken now, from the second node.
 */
static int fill_ram_disk(void)
{
	enum { PAGE = 4096, PIECE = 1 << 20, PREFERRED = 1 };
	const unsigned long second_node = 1 << 1;
	const char *device = getenv("SWAP_FAST");
	off_t at = PAGE;	/* behind the signature */
	ssize_t n;
	void *piece;
	int fd, err;

	if (!device)
		return 0;
	/* Aligned, because without O_DIRECT another thread does the writing. */
	piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open(device, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (piece == MAP_FAILED || fd < 0 ||
	    syscall(SYS_set_mempolicy, PREFERRED, &second_node, 3)) {
		printf("runtests: %s: %s\n", device, strerror(errno));
		return 1;
	}
	while ((n = pwrite(fd, piece, PIECE, at)) > 0)
		at += n;
	err = n ? errno : ENOSPC;
	if (err != ENOSPC)
		printf("runtests: %s: %s\n", device, strerror(err));
	syscall(SYS_set_mempolicy, 0, NULL, 0);
	munmap(piece, PIECE);
	close(fd);
	return err != ENOSPC;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: runtests SECONDS PROGRAM...\n");
		return 2;
	}
	if (fill_ram_disk())
		return 1;
	for (int i = 2; i < argc; i++)
		failed |= run(argv[i], atol(argv[1]));
	return failed;
}
