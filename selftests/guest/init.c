// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the test guest: mounts what the tests need, prepares the swap
 * devices, runs one command, reports its exit status and powers off.
 *
 * The kernel's messages go to the first serial line, the command's input and
 * output to the second one, so that neither garbles the other.  scripts/boot
 * puts the arguments into /etc/guest:
 *	argv	the command, each argument NUL terminated; none: a shell
 *	env	NAME=VALUE strings, NUL terminated
 *	conf	NAME=VALUE lines: token, swap, swapon
 * The status is reported as "@TOKEN exit STATUS@": with a random token no
 * output of the command can be taken for it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <linux/fs.h>

#define LINE "/dev/ttyS1"

static char token[64], swaps[64];
static bool swap_on;

/* Something that the guest cannot do without failed. */
static void fail(const char *what, const char *which)
{
	printf("guest: %s %s: %s\n", what, which, strerror(errno));
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* A whole file, NUL terminated; NULL when it cannot be read. */
static char *slurp(const char *path, size_t *len)
{
	size_t size = 65536, used = 0;
	char *text = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || !text)
		return NULL;
	while ((n = read(fd, text + used, size - used - 1)) > 0) {
		used += n;
		if (size - used < 4096) {
			size *= 2;
			text = realloc(text, size);
			if (!text)
				return NULL;
		}
	}
	close(fd);
	text[used] = 0;
	if (len)
		*len = used;
	return text;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = -1;

	if (fd >= 0) {
		ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
		close(fd);
	}
	return ret;
}

static void read_conf(void)
{
	char *text = slurp("/etc/guest/conf", NULL);

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		sscanf(line, "token=%63s", token);
		sscanf(line, "swap=%63s", swaps);
		if (!strcmp(line, "swapon=1"))
			swap_on = true;
	}
}

static void mount_one(const char *type, const char *dir, const char *options)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, options))
		fail("mount", dir);
}

static bool have_filesystem(const char *type)
{
	char *list = slurp("/proc/filesystems", NULL);
	size_t len = strlen(type);

	for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
		char *name = strrchr(line, '\t');

		if (name && !strncmp(name + 1, type, len + 1))
			return true;
	}
	return false;
}

static void mount_all(void)
{
	static const char * const controllers[] = {
		"+memory", "+cpuset", "+pids",
	};

	mount_one("proc", "/proc", NULL);
	mount_one("sysfs", "/sys", NULL);
	mount_one("tmpfs", "/tmp", "mode=1777");
	mount_one("tmpfs", "/dev/shm", "mode=1777");
	if (have_filesystem("debugfs"))
		mount_one("debugfs", "/sys/kernel/debug", NULL);
	if (have_filesystem("tracefs"))
		mount_one("tracefs", "/sys/kernel/tracing", NULL);
	if (have_filesystem("policy_group"))
		mount_one("policy_group", "/sys/fs/policy_group", NULL);
	if (!have_filesystem("cgroup2"))
		return;
	mount_one("cgroup2", "/sys/fs/cgroup", NULL);
	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++)
		put("/sys/fs/cgroup/cgroup.subtree_control", controllers[i]);
}

/* What mkswap does: the signature, the version and the last page. */
static void make_swap(const char *device)
{
	static char page[4096];
	uint32_t *info = (uint32_t *)(page + 1024);
	uint64_t size = 0;
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) || size < 2 * sizeof(page))
		fail("no swap device", device);
	info[0] = 1;
	info[1] = size / sizeof(page) - 1;
	memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
	if (write(fd, page, sizeof(page)) != sizeof(page) || fsync(fd))
		fail("mkswap", device);
	close(fd);
}

static void use_swap(const char *name, const char *device, int priority)
{
	make_swap(device);
	setenv(name, device, 1);
	if (swap_on && priority >= 0 &&
	    swapon(device, SWAP_FLAG_PREFER | priority))
		fail("swapon", device);
}

/* The virtio disk with this serial number. */
static const char *disk(const char *serial)
{
	static char device[64];
	char path[64], *text;

	for (char c = 'a'; c <= 'h'; c++) {
		snprintf(path, sizeof(path), "/sys/block/vd%c/serial", c);
		text = slurp(path, NULL);
		if (text && !strncmp(text, serial, strlen(serial))) {
			snprintf(device, sizeof(device), "/dev/vd%c", c);
			return device;
		}
	}
	errno = ENODEV;
	fail("virtio disk", serial);
	return NULL;
}

static void prepare_swap(void)
{
	if (strstr(swaps, "fast")) {
		use_swap("SWAP_FAST", "/dev/ram0", 100);
		if (!access("/dev/ram1", F_OK))
			use_swap("SWAP_SPARE", "/dev/ram1", -1);
		if (!put("/sys/block/zram0/disksize", "67108864"))
			use_swap("SWAP_ZRAM", "/dev/zram0", -1);
	}
	if (strstr(swaps, "slow"))
		use_swap("SWAP_SLOW", disk("slow"), 10);
}

/* The second serial line becomes stdin, stdout and stderr. */
static void open_line(bool raw)
{
	struct termios mode;
	int fd = open(LINE, O_RDWR | O_NOCTTY);

	if (fd < 0)
		fail("open", LINE);
	if (!tcgetattr(fd, &mode)) {
		if (raw)
			cfmakeraw(&mode);
		cfsetspeed(&mode, B115200);
		/* Not at once: that would throw away what the line has not yet sent. */
		tcsetattr(fd, TCSADRAIN, &mode);
	}
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

/* NULL terminated array of the strings in a file of NUL terminated strings. */
static char **strings(const char *path)
{
	size_t len = 0, n = 0;
	char *text = slurp(path, &len);
	char **array = calloc(len / 2 + 2, sizeof(*array));

	if (!array)
		fail("memory for", path);
	for (size_t at = 0; text && at < len; at += strlen(text + at) + 1)
		array[n++] = text + at;
	return array;
}

/*
 * Run the command; everything that is orphaned meanwhile is reaped.  Only a shell gets
 * a controlling terminal: when its owner ends, the terminal throws away what it has not
 * yet sent.
 */
static int run(char **argv, bool interactive)
{
	int status = 0;
	pid_t pid, got;

	pid = fork();
	if (pid < 0)
		fail("fork", argv[0]);
	if (!pid) {
		setsid();
		if (interactive)
			ioctl(0, TIOCSCTTY, 0);
		execvp(argv[0], argv);
		printf("guest: %s: %s\n", argv[0], strerror(errno));
		fflush(stdout);
		_exit(errno == ENOENT ? 127 : 126);
	}
	do {
		got = wait(&status);
	} while (got != pid && (got > 0 || errno == EINTR));
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/*
 * Kernels with kmemleak: look for leaks and put them into the kernel's log.
 * An object must be five seconds old to be reported; of two scans the second
 * one clears what the first only took for a leak.
 */
static void scan_leaks(void)
{
	static const char file[] = "/sys/kernel/debug/kmemleak";
	char *text;
	int fd;

	if (access(file, W_OK))
		return;
	kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
	sleep(6);
	for (int i = 0; i < 2; i++) {
		if (put(file, "scan"))
			fail("kmemleak scan", file);
	}
	text = slurp(file, NULL);
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		dprintf(fd, "guest: kmemleak scanned\n%s", text ? text : "");
		tcdrain(fd);
		close(fd);
	}
}

int main(void)
{
	static char *shell[] = { "/bin/sh", "-l", NULL };
	char **argv, **env;
	int status;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	read_conf();
	argv = strings("/etc/guest/argv");
	open_line(argv[0] != NULL);
	mount_all();
	setenv("PATH", "/tests:/usr/bin:/bin:/sbin", 1);
	setenv("HOME", "/root", 1);
	setenv("TMPDIR", "/tmp", 1);
	setenv("TERM", "linux", 0);
	env = strings("/etc/guest/env");
	for (int i = 0; env[i]; i++)
		putenv(env[i]);
	if (sethostname("guest", 5) || chdir("/root"))
		fail("set up", "/root");
	prepare_swap();

	status = run(argv[0] ? argv : shell, !argv[0]);

	scan_leaks();
	open_line(true);
	if (argv[0])
		dprintf(1, "\n@%s exit %d@\n", token, status);
	tcdrain(1);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
