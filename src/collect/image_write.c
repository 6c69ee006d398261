// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A kmem backend that passes everything through to another one and keeps the answers. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "collect/image_format.h"
#include "collect/kmem.h"
#include "collect/memstore.h"
#include "util/strbuf.h"

struct recorder {
	struct kmem k;
	struct kmem *inner;
	const char *path;
	struct memstore mem;
	struct strbuf tasks;   /* as lines, of the last time they were listed */
	struct strbuf records; /* names and files, as lines */
	int err;               /* first -ENOMEM */
};

static void add_hex(struct strbuf *sb, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const u8 *bytes = data;

	for (size_t i = 0; i < len; i++) {
		sb_putc(sb, digits[bytes[i] >> 4]);
		sb_putc(sb, digits[bytes[i] & 15]);
	}
}

static int record_readv(struct kmem *k, struct kread *r, size_t n)
{
	struct recorder *rec = (struct recorder *)k;
	int err = kmem_readv(rec->inner, r, n);

	for (size_t i = 0; i < n && !err && !rec->err; i++)
		if (!r[i].err)
			rec->err = memstore_write(&rec->mem, r[i].addr, r[i].dst, r[i].len);
	return err;
}

static int record_symbolize(struct kmem *k, const u64 *addrs, char **names, size_t n)
{
	struct recorder *rec = (struct recorder *)k;
	int err = rec->inner->ops->symbolize(rec->inner, addrs, names, n);

	for (size_t i = 0; i < n && !err; i++)
		if (names[i])
			sb_printf(&rec->records, "name %llx %s\n", (unsigned long long)addrs[i],
				  names[i]);
	return err;
}

static int record_tasks(struct kmem *k, struct task_rec **recs, size_t *n)
{
	struct recorder *rec = (struct recorder *)k;
	int err = rec->inner->ops->tasks(rec->inner, recs, n);

	sb_free(&rec->tasks);
	for (size_t i = 0; !err && i < *n; i++) {
		sb_puts(&rec->tasks, "task ");
		add_hex(&rec->tasks, &(*recs)[i], task_rec_size((*recs)[i].nr_stack));
		sb_putc(&rec->tasks, '\n');
	}
	return err;
}

static bool has_file(const struct recorder *rec, const char *path)
{
	struct strbuf line = { 0 };
	bool found;

	sb_printf(&line, "file %s ", path);
	found = rec->records.s && line.s && strstr(rec->records.s, line.s);
	sb_free(&line);
	return found;
}

static char *record_read_file(struct kmem *k, const char *path)
{
	struct recorder *rec = (struct recorder *)k;
	char *text = rec->inner->ops->read_file(rec->inner, path);

	if (has_file(rec, path))
		return text;
	sb_printf(&rec->records, "file %s ", path);
	if (text)
		add_hex(&rec->records, text, strlen(text));
	sb_putc(&rec->records, '\n');
	return text;
}

static void add_hits(struct recorder *rec, const char *kind, const struct kfound *found)
{
	for (u32 i = 0; i < found->n; i++)
		sb_printf(&rec->records, "%s %llx %llx\n", kind,
			  (unsigned long long)found->v[i].addr,
			  (unsigned long long)found->v[i].val);
}

static int record_search(struct kmem *k, const struct ksearch *q, struct kfound *found)
{
	struct recorder *rec = (struct recorder *)k;
	int err = kmem_search(rec->inner, q, found);

	if (err)
		return err;
	sb_printf(&rec->records, "search %llx %llx %llx %llx\n", (unsigned long long)found->bytes,
		  (unsigned long long)found->left, (unsigned long long)found->lost,
		  (unsigned long long)found->ns);
	add_hits(rec, "hit", found);
	return 0;
}

static int record_scan(struct kmem *k, const struct kscan *q, struct kfound *found)
{
	struct recorder *rec = (struct recorder *)k;
	int err = kmem_scan(rec->inner, q, found);

	if (err)
		return err;
	sb_printf(&rec->records, "scan %llx %llx %llx\n", (unsigned long long)q->first,
		  (unsigned long long)found->left, (unsigned long long)found->lost);
	add_hits(rec, "busy", found);
	return 0;
}

static void record_close(struct kmem *k)
{
	struct recorder *rec = (struct recorder *)k;

	kmem_close(rec->inner);
	memstore_free(&rec->mem);
	sb_free(&rec->tasks);
	sb_free(&rec->records);
	free(rec);
}

static const struct kmem_ops record_ops = {
	.readv = record_readv,
	.symbolize = record_symbolize,
	.tasks = record_tasks,
	.read_file = record_read_file,
	.search = record_search,
	.scan = record_scan,
	.close = record_close,
};

struct kmem *kmem_record(struct kmem *inner, const char *path)
{
	struct recorder *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
	rec->k = *inner;
	rec->k.ops = &record_ops;
	rec->inner = inner;
	rec->path = path;
	return &rec->k;
}

static void add_header(const struct kmem *k, struct strbuf *sb)
{
	sb_puts(sb, IMAGE_MAGIC "\n");
	for (int f = 0; f < KF_MAX; f++)
		if (kmem_has(k, f))
			sb_printf(sb, "field %s %llx %x\n", kfield_name(f),
				  (unsigned long long)k->field[f].off, k->field[f].size);
	for (int s = 0; s < KSYM_MAX; s++)
		sb_printf(sb, "symbol %s %llx\n", ksym_name(s), (unsigned long long)k->sym[s]);
	sb_printf(sb, "self %llx\nnow %llx\ntime %llx %x %x %llx\n", (unsigned long long)k->self,
		  (unsigned long long)k->now, (unsigned long long)k->time.sec, k->time.nsec,
		  k->time.utc_offset, (unsigned long long)k->time.mono_ns);
	sb_printf(sb, "tick %llx\n", (unsigned long long)k->time.tick_ns);
}

static void add_memory(void *sb, u64 addr, const u8 *data, size_t len)
{
	sb_printf(sb, "mem %llx ", (unsigned long long)addr);
	add_hex(sb, data, len);
	sb_putc(sb, '\n');
}

static int write_gz(const char *path, const struct strbuf *sb)
{
	/* kernel memory is for nobody else's eyes */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), err = 0;
	gzFile gz = fd < 0 ? NULL : gzdopen(fd, "wb9");

	if (!gz) {
		err = fd < 0 ? -errno : -ENOMEM;
		if (fd >= 0)
			close(fd);
		return err;
	}
	if (gzwrite(gz, sb->s, sb->len) != (int)sb->len)
		err = -EIO;
	if (gzclose(gz) != Z_OK && !err)
		err = -EIO;
	return err;
}

int kmem_record_save(struct kmem *k)
{
	struct recorder *rec = (struct recorder *)k;
	struct strbuf sb = { 0 };
	int err = rec->err;

	add_header(k, &sb);
	if (rec->tasks.s)
		sb_add(&sb, rec->tasks.s, rec->tasks.len);
	if (rec->records.s)
		sb_add(&sb, rec->records.s, rec->records.len);
	memstore_each(&rec->mem, add_memory, &sb);
	sb_puts(&sb, "end\n");
	if (!err && (sb.failed || rec->tasks.failed || rec->records.failed))
		err = -ENOMEM;
	err = err ? err : write_gz(rec->path, &sb);
	sb_free(&sb);
	return err;
}
