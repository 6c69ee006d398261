/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Recordings in memory, and what is made of them. Every failure ends the test. */
#ifndef DAXTOP_TESTS_RECORDINGS_H
#define DAXTOP_TESTS_RECORDINGS_H

#include <daxtop/view.h>

#include "images.h"
#include "record/recording.h"

#define SCHEMA    "{\"type\":\"schema\",\"schema\":\"daxtrace-facts/1\"}\n"
#define LOOK      "{\"type\":\"look\",\"look\":1}\n"
#define END(n)    "{\"type\":\"look_end\",\"look\":1,\"facts\":" #n "}\n"
#define SUMMARY   "{\"type\":\"summary\",\"looks\":1,\"facts\":"
/* A recording of one look with one fact. */
#define ONE(line) SCHEMA LOOK line "\n" END(1) SUMMARY "1}\n"

#define TASK "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":7}"

/* What was read of a recording. */
struct heard {
	struct wfg *g;      /* of the last look */
	u32 looks, cut;     /* looks that were whole, and that were not */
	u32 facts;          /* in all of them */
	struct refusal why; /* status 0: it was whole */
	u64 unknown;
};

static inline int heard_add(void *arg, const struct fact *fact)
{
	struct heard *h = arg;

	h->facts++;
	return wfg_add(h->g, fact);
}

static inline void heard_read(struct heard *h, const char *path)
{
	struct recording_in *in;
	int ret = LOOK_WHOLE;

	*h = (struct heard){ .g = NULL };
	in = recording_open(path, &h->why);
	while (in && ret > 0) {
		struct wfg *before = h->g;

		h->g = wfg_new();
		ret = recording_next(in, heard_add, h, &h->why);
		h->looks += ret == LOOK_WHOLE;
		h->cut += ret == LOOK_CUT;
		wfg_free(ret > 0 ? before : h->g);
		h->g = ret > 0 ? h->g : before;
	}
	assert_true(!in || ret == LOOK_NONE || ret == -1);
	assert_int_equal(h->why.status, in && ret == LOOK_NONE ? STATUS_OK : STATUS_ERROR);
	h->unknown = in ? recording_unknown(in) : 0;
	recording_free(in);
	if (h->g)
		assert_int_equal(wfg_link(h->g), 0);
}

static inline void heard_text(struct heard *h, const char *text, size_t len)
{
	struct temp t;

	temp_open(&t);
	temp_write(&t, text, len);
	heard_read(h, t.path);
	temp_close(&t);
}

static inline void heard_free(struct heard *h)
{
	wfg_free(h->g);
}

/* The report, the document and the folded stacks of a linked graph. */
static inline char *all_views(const struct wfg *g)
{
	struct view_opts opts = { .stacks = STACKS_BOTH, .verbose = 1 };
	struct findings f = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(diagnose(g, &f), 0);
	assert_int_equal(view_report(out, g, &f, &opts), 0);
	assert_int_equal(view_json(out, g, &f, &opts), 0);
	assert_int_equal(view_folded(out, g, WHICH_WAIT), 0);
	assert_int_equal(fclose(out), 0);
	findings_free(&f);
	return text;
}

#endif
