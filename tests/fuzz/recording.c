// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Anything as a recording, plain or packed, through the reader, the model, the diagnosis and all
 * views, and once more through a recording. It must not crash, run for long or take much memory;
 * and what was read of it must survive being written. See tests/fuzz/run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <daxtop/view.h>

#include "record/recording.h"
#include "view/hist.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

struct copy {
	struct wfg *g;
	struct recording_out *out; /* NULL: this is the copy */
};

static int take(void *arg, const struct fact *fact)
{
	struct copy *c = arg;

	if (c->out && recording_add(c->out, fact))
		abort();
	return wfg_add(c->g, fact);
}

/* Every look, into one graph: as large as it gets. */
static void read_looks(struct recording_in *in, struct copy *c)
{
	struct refusal why;
	int ret;

	do {
		if (c->out)
			recording_look(c->out);
		ret = recording_next(in, take, c, &why);
		if (c->out)
			recording_look_end(c->out);
	} while (ret > 0);
}

/* What all views print; the caller frees. */
static char *show(struct wfg *g, size_t *len)
{
	struct view_opts opts = { .stacks = STACKS_BOTH, .verbose = 2 };
	struct findings f = { 0 };
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (wfg_link(g) || diagnose(g, &f))
		abort();
	view_report(out, g, &f, &opts);
	view_json(out, g, &f, &opts);
	view_folded(out, g, WHICH_WAIT);
	view_folded(out, g, WHICH_HOLD);
	view_hist_holds(out, g);
	for (size_t i = 0; i < f.n; i++)
		view_begun(out, g, &f.f[i]);
	for (size_t i = 0; i < wfg_nr_ends(g); i++)
		view_ended(out, g, wfg_end(g, i));
	fclose(out);
	findings_free(&f);
	return text;
}

static void copy_must_show_the_same(const char *path, const char *text, size_t len)
{
	struct refusal why;
	struct copy c = { wfg_new(), NULL };
	struct recording_in *in = recording_open(path, &why);
	size_t again_len;
	char *again;

	if (!in)
		abort();
	read_looks(in, &c);
	again = show(c.g, &again_len);
	if (len != again_len || memcmp(text, again, len) != 0)
		abort();
	free(again);
	recording_free(in);
	wfg_free(c.g);
}

/* A file in memory; its name lives as long as it. */
static int memory_file(char *path, size_t size)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);

	snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	char path[32], copy_path[32];
	int fd = memory_file(path, sizeof(path)),
	    copy_fd = memory_file(copy_path, sizeof(copy_path));
	struct recording_in *in = NULL;
	struct refusal why;
	size_t text_len;
	char *text;

	if (write(fd, data, len) == (ssize_t)len)
		in = recording_open(path, &why);
	if (in) {
		struct copy c = { wfg_new(), recording_create(copy_path) };

		read_looks(in, &c);
		recording_close(c.out, END_DONE);
		text = show(c.g, &text_len);
		copy_must_show_the_same(copy_path, text, text_len);
		free(text);
		recording_free(in);
		wfg_free(c.g);
	}
	close(fd);
	close(copy_fd);
	return in ? 0 : -1; /* what is no recording teaches nothing: not for the corpus */
}
