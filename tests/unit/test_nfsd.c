// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The client of the NFS server to which a state belongs, on memory laid out as that of 6.12 is. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collect/task_flags.h"
#include "machine.h"

#define STATE   0xffff888000100000ULL /* struct nfs4_stid */
#define CLIENT  0xffff888000200000ULL /* struct nfs4_client */
#define NAME    0xffff888000300000ULL
#define TASK    0xffff888000400000ULL
#define REQUEST 0xffff888000500000ULL /* struct svc_rqst */

#define CLIENT_ID 0xeee58a696b0241ebULL

enum {
	STATE_ID = 28, /* sc_stateid.si_opaque */
	STATE_CLIENT = 48,
	CLIENT_NAME = 152,
	CLIENT_ADDR = 184,
	CLIENT_ID_AT = 376,
	CLIENT_SIZE = 1352,
};

static const struct kmem_ops ops = { .readv = read_memory };

static void set_name(struct machine *m, const char *name, u32 len)
{
	poke(m, CLIENT + CLIENT_NAME, len);
	poke(m, CLIENT + CLIENT_NAME + 8, NAME);
	put(m, NAME, name, len);
}

static void set_address(struct machine *m, int family, const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	if (family == AF_INET6) {
		assert_int_equal(inet_pton(family, text, &v6.sin6_addr), 1);
		put(m, CLIENT + CLIENT_ADDR, &v6, sizeof(v6));
	} else {
		assert_int_equal(inet_pton(family, text, &v4.sin_addr), 1);
		put(m, CLIENT + CLIENT_ADDR, &v4, sizeof(v4));
	}
}

static int setup(void **state)
{
	static const u64 zeros[CLIENT_SIZE / 8];
	static struct machine m;

	m = (struct machine){ .k.ops = &ops };
	m.s.k = &m.k;
	for (int f = 0; f < KF_MAX; f++)
		m.k.field[f].off = KFIELD_MISSING;
	put(&m, STATE, zeros, 408);
	put(&m, CLIENT, zeros, CLIENT_SIZE);
	poke(&m, STATE, 0x400000002); /* sc_count, sc_type */
	poke(&m, STATE + 8, STATE + 8);
	poke(&m, STATE + 16, STATE + 8);
	poke(&m, STATE + STATE_ID, CLIENT_ID);
	poke(&m, STATE + STATE_CLIENT, CLIENT);
	poke(&m, CLIENT, CLIENT);
	poke(&m, CLIENT + CLIENT_ADDR - 8, 71); /* cl_time */
	poke(&m, CLIENT + CLIENT_ID_AT, CLIENT_ID);
	set_address(&m, AF_INET, "10.0.0.9");
	set_name(&m, "Linux NFSv4.2 db9", 17);
	*state = &m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	memstore_free(&m->mem);
	arena_free(&m->s.arena);
	return 0;
}

static void client_by_its_address(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	assert_true(nfsd_client(&m->s, STATE, &c));
	assert_string_equal(c.address, "10.0.0.9");
	assert_string_equal(c.name, "Linux NFSv4.2 db9");
	assert_null(c.dir);
}

static void client_by_version_6(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	set_address(m, AF_INET6, "fd00::9");
	assert_true(nfsd_client(&m->s, STATE, &c));
	assert_string_equal(c.address, "fd00::9");
}

/* What a name may be is up to the client. */
static void name_that_is_binary(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	set_name(m, "\1\2\0\4", 4);
	assert_true(nfsd_client(&m->s, STATE, &c));
	assert_null(c.name);
	poke(m, CLIENT + CLIENT_NAME, 1024);
	assert_true(nfsd_client(&m->s, STATE, &c));
	assert_null(c.name);
}

static void another_client(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	poke(m, CLIENT + CLIENT_ID_AT, CLIENT_ID + 1);
	assert_false(nfsd_client(&m->s, STATE, &c));
	poke(m, CLIENT + CLIENT_ID_AT, 0);
	poke(m, STATE + STATE_ID, 0);
	assert_false(nfsd_client(&m->s, STATE, &c));
}

static void no_address(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	poke(m, CLIENT + CLIENT_ADDR + 64, 1);
	assert_false(nfsd_client(&m->s, STATE, &c));
	poke(m, CLIENT + CLIENT_ADDR + 64, 0);
	poke(m, CLIENT + CLIENT_ADDR, AF_INET);
	assert_false(nfsd_client(&m->s, STATE, &c));
}

static void no_state(void **state)
{
	struct machine *m = *state;
	struct nfsd_client c;

	assert_false(nfsd_client(&m->s, 0, &c));
	assert_false(nfsd_client(&m->s, STATE + 0x1000, &c));
	poke(m, STATE + STATE_CLIENT, CLIENT + 0x10000);
	assert_false(nfsd_client(&m->s, STATE, &c));
}

static void client_that_is_served(void **state)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(876) };
	const char *frames[] = { "nfsd4_setattr+0x17b/0x260 [nfsd]",
				 "nfsd_dispatch+0xcf/0x220 [nfsd]" };
	struct ktask t = { .r = { .task = TASK, .flags = PF_KTHREAD, .nr_stack = 2 } };
	static const u64 zeros[64];
	struct machine *m = *state;

	memcpy(t.frames, frames, sizeof(frames));
	m->k.field[KF_TASK_WORKER_PRIVATE] = (struct kfield){ 0, 8 };
	m->k.field[KF_KTHREAD_DATA] = (struct kfield){ 24, 8 };
	m->k.field[KF_SVC_RQST_ADDR] = (struct kfield){ 40, 128 };
	m->k.field[KF_SVC_RQST_ADDRLEN] = (struct kfield){ 40 + 128, 8 };
	poke(m, TASK, TASK + 64);
	poke(m, TASK + 64 + 24, REQUEST);
	put(m, REQUEST, zeros, sizeof(zeros));
	assert_int_equal(inet_pton(AF_INET, "10.0.0.9", &peer.sin_addr), 1);
	put(m, REQUEST + 40, &peer, sizeof(peer));
	poke(m, REQUEST + 40 + 128, sizeof(peer));
	poke(m, REQUEST + 40 + 16, 0xfd); /* left by another client */
	assert_string_equal(nfsd_serves(&m->s, &t), "10.0.0.9");
	t.r.nr_stack = 1;
	assert_null(nfsd_serves(&m->s, &t));
	t.r.nr_stack = 2;
	t.r.flags = 0;
	assert_null(nfsd_serves(&m->s, &t));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(client_by_its_address), TEST(client_by_version_6), TEST(name_that_is_binary),
		TEST(another_client),        TEST(no_address),          TEST(no_state),
		TEST(client_that_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
