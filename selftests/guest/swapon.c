// SPDX-License-Identifier: GPL-2.0
/*
 * swapon [-p PRIORITY] DEVICE: busybox's swapon knows no priority.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>

int main(int argc, char **argv)
{
	int flags = 0;

	if (argc == 4 && !strcmp(argv[1], "-p"))
		flags = SWAP_FLAG_PREFER | (atoi(argv[2]) & SWAP_FLAG_PRIO_MASK);
	else if (argc != 2) {
		fprintf(stderr, "usage: swapon [-p PRIORITY] DEVICE\n");
		return 2;
	}
	if (swapon(argv[argc - 1], flags)) {
		perror(argv[argc - 1]);
		return 1;
	}
	return 0;
}
