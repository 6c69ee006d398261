// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * User stacks. /proc/PID/maps and ptrace would wait for the task, perhaps for ever; so mappings,
 * registers and a copy of the stack come from kernel memory, and only the ELF files are opened: by
 * a child with a deadline, because the filesystem they are on may be the one that hangs.
 */
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect/mm.h"
#include "collect/ustack.h"
#include "util/bounded.h"
#include "util/strbuf.h"

enum { TIMEOUT_MS = 1000, TEXT_MAX = 16 * 1024, MODULES_MAX = 256, STACK_COPY = 64 * 1024 };

#define VM_EXEC 4 /* include/linux/mm.h */

/* DWARF register numbers, System V ABI for AMD64, figure 3.36 */
enum { DW_RBX = 3, DW_RBP = 6, DW_RSP = 7, DW_R12 = 12, DW_R15 = 15, DW_RIP = 16 };

/* A file that is mapped somewhere executable, and where its first byte is mapped. */
struct module {
	u64 file, base;
	bool exec;
	const char *path; /* to open it by; NULL unknown */
	u64 size;         /* i_size, bytes */
};

struct unwind {
	pid_t tid;
	const struct arch_regs *regs; /* of a sleeping task, to unwind from; NULL: addrs */
	const u64 *addrs;             /* nr_addrs of a stack that was unwound already */
	u32 nr_addrs;
	struct module modules[MODULES_MAX];
	u32 nr_modules;
	char stack[STACK_COPY]; /* user memory from regs->sp on */
	u64 stack_len;
	struct strbuf text; /* one frame a line */
	u32 frames;
};

static void add_mapping(void *arg, const struct mm_vma *v)
{
	struct unwind *u = arg;
	struct module *m = u->nr_modules ? &u->modules[u->nr_modules - 1] : NULL;

	if (!v->file)
		return;
	/* the mappings of a file follow each other */
	if (!m || m->file != v->file) {
		if (u->nr_modules == MODULES_MAX)
			return;
		m = &u->modules[u->nr_modules++];
		*m = (struct module){ .file = v->file,
				      .base = v->start - (v->pgoff << ARCH_PAGE_SHIFT) };
	}
	m->exec |= v->flags & VM_EXEC;
}

static void name_modules(struct snap *s, const struct ktask *t, struct unwind *u)
{
	for (u32 i = 0; i < u->nr_modules; i++) {
		struct module *m = &u->modules[i];
		u64 inode;

		if (m->exec && !kmem_get(s->k, m->file, KF_FILE_INODE, &inode) &&
		    !kmem_get(s->k, inode, KF_INODE_SIZE, &m->size))
			m->path = file_path_for(s, t, m->file);
	}
}

/* Copies what is present of the stack, up to the first page that is not. */
static void copy_stack(struct snap *s, u64 pgd, struct unwind *u)
{
	u64 sp = u->regs->sp;

	while (u->stack_len < sizeof(u->stack)) {
		u64 at = sp + u->stack_len, step = ARCH_PAGE_SIZE - at % ARCH_PAGE_SIZE;

		if (step > sizeof(u->stack) - u->stack_len)
			step = sizeof(u->stack) - u->stack_len;
		if (arch_read_user(&s->arch, s->k, pgd, at, u->stack + u->stack_len, step))
			return;
		u->stack_len += step;
	}
}

/* Opens a mapped file, unless another took its name meanwhile. fd or -1. */
static int open_module(const struct module *m)
{
	int fd = m->path ? open(m->path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;

	/* not by inode number: overlayfs shows another one than the file below it has */
	if (fd >= 0 && (fstat(fd, &st) || (u64)st.st_size != m->size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void report_modules(struct unwind *u, Dwfl *dwfl)
{
	for (u32 i = 0; i < u->nr_modules; i++) {
		const struct module *m = &u->modules[i];
		int fd = open_module(m);

		if (fd >= 0 && !dwfl_report_elf(dwfl, m->path, m->path, fd, m->base, false))
			close(fd);
	}
}

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	struct unwind *u = arg;
	bool first = !*thread_arg;

	(void)dwfl;
	*thread_arg = u;
	return first ? u->tid : 0;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	struct unwind *u = arg;

	(void)dwfl;
	*thread_arg = u;
	return tid == u->tid;
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	struct unwind *u = arg;
	u64 off = addr - u->regs->sp;

	(void)dwfl;
	if (addr < u->regs->sp || off + sizeof(*result) > u->stack_len)
		return false;
	memcpy(result, u->stack + off, sizeof(*result));
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct arch_regs *r = ((struct unwind *)arg)->regs;
	Dwarf_Word callee_saved[] = { r->r12, r->r13, r->r14, r->r15 };
	Dwarf_Word rbx = r->bx, rbp = r->bp, rsp = r->sp, rip = r->ip;

	return dwfl_thread_state_registers(thread, DW_RBX, 1, &rbx) &&
	       dwfl_thread_state_registers(thread, DW_RBP, 1, &rbp) &&
	       dwfl_thread_state_registers(thread, DW_RSP, 1, &rsp) &&
	       dwfl_thread_state_registers(thread, DW_R12, 4, callee_saved) &&
	       dwfl_thread_state_registers(thread, DW_RIP, 1, &rip);
}

static void add_address(struct unwind *u, Dwfl *dwfl, Dwarf_Addr pc, bool activation)
{
	Dwarf_Addr at = activation ? pc : pc - 1; /* behind a call may be the next function */
	Dwfl_Module *mod = dwfl_addrmodule(dwfl, at);
	const char *name, *file;
	GElf_Off off;
	GElf_Sym sym;

	name = mod ? dwfl_module_addrinfo(mod, at, &off, &sym, NULL, NULL, NULL) : NULL;
	file = mod ? dwfl_module_info(mod, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
	if (name)
		sb_printf(&u->text, "%s+0x%llx", name, (unsigned long long)off);
	else
		sb_printf(&u->text, "0x%llx", (unsigned long long)pc);
	if (file)
		sb_printf(&u->text, " [%s]", strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
	sb_putc(&u->text, '\n');
}

static int add_frame(Dwfl_Frame *frame, void *arg)
{
	struct unwind *u = arg;
	Dwarf_Addr pc;
	bool activation;

	if (u->frames >= FACT_STACK_MAX || !dwfl_frame_pc(frame, &pc, &activation) || !pc)
		return DWARF_CB_ABORT;
	u->frames++;
	add_address(u, dwfl_thread_dwfl(dwfl_frame_thread(frame)), pc, activation);
	return DWARF_CB_OK;
}

/* Debug information would be looked for all over the machine; symbols of the file must do. */
static int no_debuginfo(Dwfl_Module *mod, void **arg, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	(void)mod, (void)arg, (void)name, (void)base, (void)file, (void)link, (void)crc;
	(void)found;
	return -1;
}

static int no_elf(Dwfl_Module *mod, void **arg, const char *name, Dwarf_Addr base, char **found,
		  Elf **elf)
{
	(void)mod, (void)arg, (void)name, (void)base, (void)found, (void)elf;
	return -1;
}

static void unwind_with(struct unwind *u, Dwfl *dwfl)
{
	static const Dwfl_Thread_Callbacks callbacks = {
		.next_thread = next_thread,
		.get_thread = get_thread,
		.memory_read = read_word,
		.set_initial_registers = set_registers,
	};

	dwfl_report_begin(dwfl);
	report_modules(u, dwfl);
	dwfl_report_end(dwfl, NULL, NULL);
	for (u32 i = 0; i < u->nr_addrs; i++)
		add_address(u, dwfl, u->addrs[i], !i);
	/* needs at least one module to know the machine */
	if (u->regs && dwfl_attach_state(dwfl, NULL, u->tid, &callbacks, u))
		dwfl_getthread_frames(dwfl, u->tid, add_frame, u);
}

/* Runs in the child: fills buf with lines. Bytes. */
static ssize_t unwind_child(void *arg, void *buf, size_t len)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = no_elf,
		.find_debuginfo = no_debuginfo,
	};
	struct unwind *u = arg;
	Dwfl *dwfl = dwfl_begin(&callbacks);

	if (dwfl)
		unwind_with(u, dwfl);
	if (!u->text.s || u->text.failed)
		return 0;
	if (len > u->text.len)
		len = u->text.len;
	memcpy(buf, u->text.s, len);
	return len;
}

static void split_lines(struct snap *s, const char *text, struct fact_stack *ret)
{
	const char **frames = arena_alloc(&s->arena, FACT_STACK_MAX, sizeof(*frames));
	u32 n = 0;

	for (const char *line = text; frames && *line && n < FACT_STACK_MAX; n++) {
		size_t len = strcspn(line, "\n");

		frames[n] = snap_text(s, "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
	*ret = (struct fact_stack){ .frames = frames, .n = n };
}

static const char *why_no_files(const struct snap *s, const struct ktask *t)
{
	if (s->opts->image_read)
		return "an image holds no program files";
	return t->r.mm ? NULL : "it has no user memory (any more)";
}

static void name_frames(struct snap *s, struct ktask *t, struct unwind *u, struct fact_stack *ret)
{
	static char text[TEXT_MAX];
	ssize_t len;

	mm_walk_vmas(s, t->r.mm, add_mapping, u);
	name_modules(s, t, u);
	len = bounded_call(unwind_child, u, text, sizeof(text) - 1, TIMEOUT_MS);
	if (len > 0) {
		text[len] = '\0';
		split_lines(s, text, ret);
	} else {
		ret->why_missing = len ? "its program files did not answer in time" :
					 "its program files are not readable from here";
	}
}

static void unwind_task(struct snap *s, struct ktask *t, struct fact_stack *ret)
{
	static struct unwind u;
	u64 pgd;

	*ret = (struct fact_stack){ .why_missing = why_no_files(s, t) };
	if (ret->why_missing)
		return;
	u = (struct unwind){ .tid = t->r.tid, .regs = task_regs(s, t) };
	if (u.regs && !kmem_get(s->k, t->r.mm, KF_MM_PGD, &pgd)) {
		copy_stack(s, pgd, &u);
		name_frames(s, t, &u, ret);
	} else {
		ret->why_missing = "its registers are not readable";
	}
}

void ustack_read(struct snap *s, struct ktask *t, struct fact_stack *ret)
{
	struct fact_stack *kept;

	if (t->ustack) {
		*ret = *t->ustack;
		return;
	}
	unwind_task(s, t, ret);
	kept = arena_alloc(&s->arena, 1, sizeof(*kept));
	if (kept)
		*kept = *ret;
	t->ustack = kept;
}

void ustack_name(struct snap *s, struct ktask *t, const u64 *addrs, u32 n, struct fact_stack *ret)
{
	static struct unwind u;

	*ret = (struct fact_stack){ .why_missing = why_no_files(s, t) };
	if (ret->why_missing)
		return;
	u = (struct unwind){ .tid = t->r.tid,
			     .addrs = addrs,
			     .nr_addrs = n < FACT_STACK_MAX ? n : FACT_STACK_MAX };
	name_frames(s, t, &u, ret);
}
