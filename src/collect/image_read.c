// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A saved image as a kmem backend. The file may be anything: every line is checked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "collect/image_format.h"
#include "collect/kmem.h"
#include "collect/memstore.h"
#include "util/array.h"

#define FIELD_MAX (1 << 20) /* no kernel's struct is as large */
#define ENUM_MAX  255       /* those in the table are bit numbers or small, or masks */

struct name {
	u64 addr;
	char *text;
};

struct file {
	char *path;
	char *text; /* NULL: it was not there */
};

/* What one scan left out, in bytes of struct pages, and how many it found beyond what is kept. */
struct scan {
	u64 first, left, lost;
};

struct image {
	struct kmem k;
	struct memstore mem;
	struct task_rec *tasks;
	u32 nr_tasks;
	struct name *names;
	u32 nr_names;
	struct file *files;
	u32 nr_files;
	struct kfound found; /* of all searches together */
	struct kfound busy;  /* of all scans together */
	struct scan *scans;
	u32 nr_scans;
	bool searched;
	bool ended;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes pairs of digits in place. Bytes, or -EINVAL. */
static ssize_t unhex(char *s)
{
	size_t n = 0;

	for (; s[2 * n]; n++) {
		int hi = hex_digit(s[2 * n]), lo = hi < 0 ? -1 : hex_digit(s[2 * n + 1]);

		if (lo < 0)
			return -EINVAL;
		s[n] = hi << 4 | lo;
	}
	return n;
}

/* The next word of a line, which is cut off behind it; NULL at the end. */
static char *next_word(char **rest)
{
	return strsep(rest, " ");
}

static int next_number(char **rest, u64 *val)
{
	const char *word = next_word(rest);

	if (!word || !*word || strlen(word) > 2 * sizeof(*val))
		return -EINVAL;
	for (*val = 0; *word; word++) {
		int digit = hex_digit(*word);

		if (digit < 0)
			return -EINVAL;
		*val = *val << 4 | digit;
	}
	return 0;
}

static bool names_member(const char *field)
{
	return strchr(field, '.');
}

/* FOLL_PIN and its like are for hooks, which an image has not. */
static bool is_mask(const char *name)
{
	return !strncmp(name, "enum:FOLL_", strlen("enum:FOLL_"));
}

static bool field_is_sane(const char *name, u64 off, u64 size)
{
	if (strchr(name, ':'))
		return off <= (is_mask(name) ? UINT32_MAX : ENUM_MAX) && !size;
	/* an array without a length, at the end of a struct, has no size */
	return off <= FIELD_MAX && size <= FIELD_MAX && (names_member(name) || off);
}

/* A table of another version may have had fewer alternatives, or more: new ones come first. */
static bool is_same_field(const char *a, const char *b)
{
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a < len_b)
		return is_same_field(b, a);
	return !strcmp(a + len_a - len_b, b) && (len_a == len_b || a[len_a - len_b - 1] == '|');
}

static int take_field(struct image *im, char *rest)
{
	char *name = next_word(&rest);
	u64 off, size;

	if (!name || next_number(&rest, &off) || next_number(&rest, &size) || rest ||
	    !field_is_sane(name, off, size))
		return -EINVAL;
	for (int f = 0; f < KF_MAX; f++)
		if (is_same_field(name, kfield_name(f)))
			im->k.field[f] = (struct kfield){ off, size };
	return 0; /* a field of another version is of no use, and no error */
}

static int take_symbol(struct image *im, char *rest)
{
	char *name = next_word(&rest);
	u64 addr;

	if (!name || next_number(&rest, &addr) || rest)
		return -EINVAL;
	for (int s = 0; s < KSYM_MAX; s++)
		if (!strcmp(name, ksym_name(s)))
			im->k.sym[s] = addr;
	return 0;
}

static int take_self(struct image *im, char *rest)
{
	return next_number(&rest, &im->k.self) || rest ? -EINVAL : 0;
}

static int take_now(struct image *im, char *rest)
{
	return next_number(&rest, &im->k.now) || rest ? -EINVAL : 0;
}

static int take_time(struct image *im, char *rest)
{
	u64 sec, nsec, offset, mono;

	if (next_number(&rest, &sec) || next_number(&rest, &nsec) || next_number(&rest, &offset) ||
	    next_number(&rest, &mono) || rest)
		return -EINVAL;
	im->k.time = (struct kmem_time){ sec, nsec, (s32)offset, mono, im->k.time.tick_ns };
	return 0;
}

static int take_tick(struct image *im, char *rest)
{
	return next_number(&rest, &im->k.time.tick_ns) || rest ? -EINVAL : 0;
}

static int take_task(struct image *im, char *rest)
{
	ssize_t len = unhex(rest);
	struct task_rec rec = { 0 };
	int err;

	if (len < (ssize_t)task_rec_size(0) || len > (ssize_t)sizeof(rec))
		return -EINVAL;
	memcpy(&rec, rest, len);
	if (rec.nr_stack > REC_STACK_DEPTH || task_rec_size(rec.nr_stack) != (u64)len)
		return -EINVAL;
	err = array_grow(&im->tasks, im->nr_tasks, sizeof(rec));
	if (!err)
		im->tasks[im->nr_tasks++] = rec;
	return err;
}

static int take_name(struct image *im, char *rest)
{
	struct name n;
	int err;

	if (next_number(&rest, &n.addr) || !rest)
		return -EINVAL;
	err = array_grow(&im->names, im->nr_names, sizeof(n));
	n.text = err ? NULL : strdup(rest);
	if (!n.text)
		return -ENOMEM;
	im->names[im->nr_names++] = n;
	return 0;
}

static int take_file(struct image *im, char *rest)
{
	char *path = next_word(&rest);
	struct file f = { 0 };
	ssize_t len = rest ? unhex(rest) : -EINVAL;
	int err;

	if (len < 0)
		return -EINVAL;
	err = array_grow(&im->files, im->nr_files, sizeof(f));
	f.path = err ? NULL : strdup(path);
	f.text = err || !len ? NULL : strndup(rest, len);
	if (!f.path || (len && !f.text)) {
		free(f.path);
		return -ENOMEM;
	}
	im->files[im->nr_files++] = f;
	return 0;
}

static int take_search(struct image *im, char *rest)
{
	struct kfound *f = &im->found;

	im->searched = true;
	return next_number(&rest, &f->bytes) || next_number(&rest, &f->left) ||
			       next_number(&rest, &f->lost) || next_number(&rest, &f->ns) || rest ?
		       -EINVAL :
		       0;
}

static int take_scan(struct image *im, char *rest)
{
	struct scan s;
	int err;

	if (next_number(&rest, &s.first) || next_number(&rest, &s.left) ||
	    next_number(&rest, &s.lost) || rest)
		return -EINVAL;
	err = array_grow(&im->scans, im->nr_scans, sizeof(s));
	if (!err)
		im->scans[im->nr_scans++] = s;
	return err;
}

static int add_hit(struct kfound *f, char *rest)
{
	struct khit hit;
	int err;

	if (next_number(&rest, &hit.addr) || next_number(&rest, &hit.val) || rest)
		return -EINVAL;
	err = array_grow(&f->v, f->n, sizeof(hit));
	if (!err)
		f->v[f->n++] = hit;
	return err;
}

static int take_hit(struct image *im, char *rest)
{
	return add_hit(&im->found, rest);
}

static int take_busy(struct image *im, char *rest)
{
	return add_hit(&im->busy, rest);
}

static int take_mem(struct image *im, char *rest)
{
	u64 addr;
	ssize_t len;

	if (next_number(&rest, &addr) || !rest)
		return -EINVAL;
	len = unhex(rest);
	if (len <= 0 || addr + len < addr)
		return -EINVAL;
	return memstore_write(&im->mem, addr, rest, len);
}

static int take_end(struct image *im, char *rest)
{
	im->ended = true;
	return rest ? -EINVAL : 0;
}

static const struct {
	const char *kind;
	int (*take)(struct image *im, char *rest);
} kinds[] = {
	{ "field", take_field }, { "symbol", take_symbol }, { "self", take_self },
	{ "now", take_now },     { "time", take_time },     { "task", take_task },
	{ "name", take_name },   { "file", take_file },     { "search", take_search },
	{ "hit", take_hit },     { "scan", take_scan },     { "busy", take_busy },
	{ "mem", take_mem },     { "end", take_end },       { "tick", take_tick },
};

static int take_line(struct image *im, char *line)
{
	char *rest = line, *kind = next_word(&rest);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kind, kinds[i].kind))
			return rest || kinds[i].take == take_end ? kinds[i].take(im, rest) :
								   -EINVAL;
	return -EINVAL;
}

static int image_readv(struct kmem *k, struct kread *r, size_t n)
{
	struct image *im = (struct image *)k;

	for (size_t i = 0; i < n; i++) {
		r[i].err = memstore_read(&im->mem, r[i].addr, r[i].dst, r[i].len);
		if (r[i].err)
			memset(r[i].dst, 0, r[i].len);
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	u64 x = ((const struct name *)a)->addr, y = ((const struct name *)b)->addr;

	return x < y ? -1 : x > y;
}

static int image_symbolize(struct kmem *k, const u64 *addrs, char **names, size_t n)
{
	struct image *im = (struct image *)k;

	for (size_t i = 0; i < n && im->nr_names; i++) {
		struct name key = { addrs[i], NULL };
		struct name *found = bsearch(&key, im->names, im->nr_names, sizeof(key),
					     compare_names);

		names[i] = found ? strdup(found->text) : NULL;
	}
	return 0;
}

static int image_tasks(struct kmem *k, struct task_rec **recs, size_t *n)
{
	struct image *im = (struct image *)k;

	*recs = calloc(im->nr_tasks + 1, sizeof(**recs));
	if (!*recs)
		return -ENOMEM;
	if (im->nr_tasks)
		memcpy(*recs, im->tasks, im->nr_tasks * sizeof(**recs));
	*n = im->nr_tasks;
	return 0;
}

static char *image_read_file(struct kmem *k, const char *path)
{
	struct image *im = (struct image *)k;

	for (u32 i = 0; i < im->nr_files; i++)
		if (!strcmp(im->files[i].path, path))
			return im->files[i].text ? strdup(im->files[i].text) : NULL;
	return NULL;
}

static int image_search(struct kmem *k, const struct ksearch *q, struct kfound *found)
{
	const struct image *im = (struct image *)k;
	int err = 0;

	*found = im->found;
	found->v = NULL;
	found->n = 0;
	for (u32 i = 0; i < im->found.n && !err; i++) {
		if (!ksearch_wants(q, im->found.v[i].val))
			continue;
		err = array_grow(&found->v, found->n, sizeof(*found->v));
		if (!err)
			found->v[found->n++] = im->found.v[i];
	}
	return err || im->searched ? err : -ENOENT;
}

/* Takes no time: all of the range is looked at, but for what the scan of it left out. */
static int image_scan(struct kmem *k, const struct kscan *q, struct kfound *found)
{
	struct image *im = (struct image *)k;
	int err = 0;

	found->bytes = q->end - q->first;
	for (u32 i = 0; i < im->nr_scans; i++) {
		if (im->scans[i].first != q->first || im->scans[i].left > found->bytes)
			continue;
		found->lost = im->scans[i].lost;
		found->left = im->scans[i].left;
		found->bytes -= found->left;
		break;
	}
	for (u32 i = 0; i < im->busy.n && !err; i++) {
		const struct khit *hit = &im->busy.v[i];

		if (hit->addr < q->first || hit->addr >= q->end)
			continue;
		err = array_grow(&found->v, found->n, sizeof(*found->v));
		if (!err)
			found->v[found->n++] = *hit;
	}
	return err || im->nr_scans ? err : -ENOENT;
}

static void image_close(struct kmem *k)
{
	struct image *im = (struct image *)k;

	for (u32 i = 0; i < im->nr_names; i++)
		free(im->names[i].text);
	for (u32 i = 0; i < im->nr_files; i++) {
		free(im->files[i].path);
		free(im->files[i].text);
	}
	free(im->names);
	free(im->files);
	free(im->tasks);
	free(im->found.v);
	free(im->busy.v);
	free(im->scans);
	memstore_free(&im->mem);
	free(im);
}

static const struct kmem_ops image_ops = {
	.readv = image_readv,
	.symbolize = image_symbolize,
	.tasks = image_tasks,
	.read_file = image_read_file,
	.search = image_search,
	.scan = image_scan,
	.close = image_close,
};

/* Reads one line without its newline. 1, 0 at the end, -EINVAL for one that is too long. */
static int read_line(gzFile gz, char *line)
{
	size_t len;

	if (!gzgets(gz, line, IMAGE_LINE_MAX))
		return 0;
	len = strlen(line);
	if (!len || line[len - 1] != '\n')
		return -EINVAL;
	line[len - 1] = '\0';
	return 1;
}

/* 0, or -1 with *why filled. */
static int load(struct image *im, gzFile gz, const char *path, struct refusal *why)
{
	static const char consequence[] = "nothing can be told from it";
	char *line = malloc(IMAGE_LINE_MAX);
	u32 nr = 0;
	int err = line ? read_line(gz, line) : -ENOMEM;

	if (err > 0 && strcmp(line, IMAGE_MAGIC))
		err = -EPROTO;
	while (err > 0 && !im->ended) {
		nr++;
		err = read_line(gz, line);
		if (err > 0 && take_line(im, line))
			err = -EINVAL;
	}
	free(line);
	if (err == -EPROTO || !nr)
		return refuse(why, STATUS_ERROR, consequence, "", "%s is not an image", path);
	if (err < 0)
		return refuse(why, STATUS_ERROR, consequence, "", "%s: line %u makes no sense",
			      path, nr + 1);
	if (!im->ended)
		return refuse(why, STATUS_ERROR, consequence, "", "%s: cut off behind line %u",
			      path, nr);
	return 0;
}

struct kmem *kmem_image(const char *path, struct refusal *why)
{
	struct image *im = calloc(1, sizeof(*im));
	gzFile gz = gzopen(path, "rbe");
	int err = -1;

	if (!gz || !im) {
		refuse(why, STATUS_ERROR, "nothing can be told from it", "", "cannot read %s: %s",
		       path, strerror(errno));
	} else {
		im->k.ops = &image_ops;
		for (int f = 0; f < KF_MAX; f++)
			im->k.field[f].off = KFIELD_MISSING;
		err = load(im, gz, path, why);
		kfields_check(im->k.field);
		if (im->nr_names)
			qsort(im->names, im->nr_names, sizeof(*im->names), compare_names);
	}
	if (gz)
		gzclose(gz);
	if (err && im && im->k.ops)
		image_close(&im->k);
	else if (err)
		free(im);
	return err ? NULL : &im->k;
}
