// A plugin of QEMU's that counts the instructions that an emulated program executes, and prints the
// count at its end. Interface: version 1, docs/devel/tcg-plugins of QEMU, whose Debian package comes
// without its header.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t id_t64;
struct translation;
extern void qemu_plugin_register_vcpu_tb_trans_cb(id_t64, void (*)(id_t64, struct translation *));
extern void qemu_plugin_register_atexit_cb(id_t64, void (*)(id_t64, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct translation *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct translation *, int, void *, uint64_t);
enum { ADD = 0 };

int qemu_plugin_version = 1;
static uint64_t instructions;

static void translated(id_t64 id, struct translation *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &instructions, qemu_plugin_tb_n_insns(block));
}

static void ended(id_t64 id, void *unused) {
    (void)id;
    (void)unused;
    fprintf(stderr, "instructions %" PRIu64 "\n", instructions);
}

int qemu_plugin_install(id_t64 id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
