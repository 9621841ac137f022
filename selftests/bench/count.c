// SPDX-License-Identifier: GPL-2.0
/*
 * count - a QEMU plugin: how often the instructions of each block were executed
 *
 * Prints lines of "ADDRESS INSTRUCTIONS EXECUTED" when QEMU ends, to the file that the
 * argument out=FILE names; scripts/bench-profile adds them up by function.
 *
 * What it uses of QEMU's plugin interface is declared here, because Debian's packages
 * have the interface but not its header.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef void (*tb_trans_cb)(qemu_plugin_id_t id, void *tb);
typedef void (*atexit_cb)(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, atexit_cb cb, void *data);
size_t qemu_plugin_tb_n_insns(const void *tb);
uint64_t qemu_plugin_tb_vaddr(const void *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(void *tb, int op, void *ptr, uint64_t imm);

int qemu_plugin_version __attribute__((visibility("default"))) = 1;

/* QEMU translates the same code again now and then: one entry for each time. */
struct block {
	uint64_t address;
	uint64_t insns;
	uint64_t count;
	struct block *next;
};

static struct block *blocks;
static const char *out = "count.out";

static void translated(qemu_plugin_id_t id, void *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	(void)id;
	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->insns = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	/* 0: add. */
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &block->count, 1);
}

static void print_all(qemu_plugin_id_t id, void *data)
{
	FILE *file = fopen(out, "w");

	(void)id;
	(void)data;
	if (!file)
		abort();
	for (struct block *block = blocks; block; block = block->next)
		if (block->count)
			fprintf(file, "%llx %llu %llu\n",
				(unsigned long long)block->address,
				(unsigned long long)block->insns,
				(unsigned long long)block->count);
	fclose(file);
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, print_all, NULL);
	return 0;
}
