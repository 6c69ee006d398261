# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make [all|check|check-unit|check-fuzz|check-vm|demo|demo-top|bench|lint|fmt|install|uninstall|clean|deps]
#   V=1 shows commands   O=DIR builds there   SAN=1 with ASan and UBSan   STATIC=1 one static file
#   check-unit: T="test_opts test_scope" selects
#   fuzz: FUZZ_SECONDS=60 FUZZ_TARGETS=recording   images: KERNELS="5.10 6.1", recaptures tests/unit/images
#   check-vm:   KERNELS="5.10 6.1" SCENARIOS="vmsplice*" selects; ALL=1 stages variants on all kernels
#   TRACED=before|after: verdicts of watches that began before the page was held, or when all was stuck

VERSION := 0.1.0

O       ?= build
PREFIX  ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
CLANG   ?= clang
CLANG_FORMAT ?= clang-format
PKG_CONFIG   ?= pkg-config

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: fuzz images all check check-unit check-fuzz check-vm demo demo-top bench lint fmt install uninstall \
	clean deps unit-programs guest-programs

ifneq ($(V),1)
Q   = @
msg = @printf '  %-8s %s\n' $(1) $(2);
endif

# Debian keeps bpftool and qemu's helpers where only root's PATH leads.
export PATH := $(PATH):/usr/sbin:/sbin

# Ubuntu's bpftool is a wrapper that wants the tools of the very kernel that runs.
BPFTOOL ?= $(shell bpftool version >/dev/null 2>&1 && echo bpftool || \
	ls -d /usr/lib/linux*tools*/*/bpftool 2>/dev/null | tail -n 1)

comma := ,

# A build with sanitizers shares nothing but the BPF objects with the plain one. It takes half the
# time with little optimisation, and the tests no longer.
B := $(O)$(if $(SAN),/san)
SAN_FLAGS := $(if $(SAN),-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer)

SRCS  ?= $(wildcard src/*/*.c src/*/*/*.c)
OBJS   = $(SRCS:%.c=$(B)/obj/%.o)
LIB    = $(B)/libdaxtop.a
PROGS  = $(B)/daxtrace $(B)/daxtop
# A dynamic loader takes an emulated guest longer than all that the tool does then.
GUEST_PROGS = $(O)/static/daxtrace $(O)/static/daxtop
MANUALS = $(wildcard man/*.8)
BPF_SRCS := $(wildcard bpf/*.bpf.c)
SKELS  = $(BPF_SRCS:bpf/%.bpf.c=$(O)/skel/%.skel.h)
T     ?= $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
# Selected tests are built without the program, and run without the tests of its command line.
ONLY_T := $(filter command,$(origin T))
TESTS  = $(T:%=$(B)/tests/%)
BENCH  = $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
C_FILES = $(sort $(wildcard bpf/*.[ch] include/*/*.h src/*/*.[ch] src/*/*/*.[ch] tools/*.[ch] tests/*/*.[ch] \
	tests/*/*/*.[ch]))

LIBS := libelf zlib libdw jansson
LIBBPF_A := $(wildcard $(shell $(PKG_CONFIG) --variable=libdir libbpf 2>/dev/null)/libbpf.a)
PC_CFLAGS := $(shell $(PKG_CONFIG) --cflags libbpf $(LIBS) 2>/dev/null)
LDLIBS = $(or $(LIBBPF_A),$(shell $(PKG_CONFIG) --libs libbpf 2>/dev/null)) \
	$(shell $(PKG_CONFIG) $(if $(STATIC),--static) --libs $(LIBS) 2>/dev/null)

CURSES = $(shell $(PKG_CONFIG) $(if $(STATIC),--static) --libs ncursesw 2>/dev/null)

CFLAGS  ?= -O2 -g
WERROR  ?= -Werror
ALL_CPPFLAGS = -D_GNU_SOURCE -DDAXTOP_VERSION='"$(VERSION)"' -Iinclude -Isrc -I$(O)/skel \
	$(PC_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) $(CFLAGS) $(SAN_FLAGS)
ALL_LDFLAGS = $(SAN_FLAGS) $(if $(STATIC),-static) $(LDFLAGS)
COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP

ARCH := $(shell uname -m | sed -e s/x86_64/x86/ -e s/aarch64/arm64/ -e s/ppc64le/powerpc/ \
	-e s/riscv64/riscv/ -e s/s390x/s390/)
BPF_CFLAGS ?= -O2 -g
ALL_BPF_CFLAGS = -std=gnu11 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall $(WERROR) -Ibpf -Iinclude \
	$(PC_CFLAGS) $(BPF_CFLAGS)

all: $(PROGS)

# What is missing is said once, before the first compiler error could say it worse.
$(O)/.deps: packaging/deps packaging/need
	$(Q)packaging/need build
	$(Q)mkdir -p $(@D) && touch $@

$(O)/bpf/%.bpf.o: bpf/%.bpf.c | $(O)/.deps
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_BPF_CFLAGS) -MMD -MP -c $< -o $@

# The BPF linker drops DWARF and keeps BTF, which CO-RE needs.
$(O)/bpf/%.o: $(O)/bpf/%.bpf.o
	$(Q)$(BPFTOOL) gen object $@ $<

$(O)/skel/%.skel.h: $(O)/bpf/%.o
	$(call msg,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

$(B)/obj/%.o: %.c | $(O)/.deps
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -c $< -o $@

# Dependency files know which object includes which skeleton only after the first build.
$(filter $(B)/obj/src/collect/%,$(OBJS)): | $(SKELS)

$(LIB): $(OBJS)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJS)

$(B)/daxtop $(O)/static/daxtop: PROG_LIBS = $(CURSES)
$(PROGS): $(B)/%: $(B)/obj/tools/%.o $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) $(PROG_LIBS) -o $@

$(GUEST_PROGS): STATIC = 1
$(GUEST_PROGS): $(O)/static/%: $(O)/obj/tools/%.o $(O)/libdaxtop.a
	$(call msg,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) $(PROG_LIBS) -o $@

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(LIB)
	$(call msg,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

$(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

.SECONDARY:

guest-programs: $(GUEST_PROGS)

unit-programs: $(if $(ONLY_T),,$(PROGS)) $(TESTS)

deps:
	$(Q)packaging/need --install build lint unit vm

check:
	$(Q)MAKE='$(MAKE)' O='$(O)' tests/check

check-unit:
	$(Q)packaging/need --install build unit
	$(Q)$(MAKE) -j$$(nproc) SAN=1 unit-programs
	$(Q)tests/run-unit $(O)/results/unit $(T:%=$(O)/san/tests/%) \
		$(if $(ONLY_T),,-- $(O)/san)

check-vm:
	$(Q)packaging/need --install build vm
	$(Q)$(MAKE) -j$$(nproc) guest-programs
	$(Q)O='$(abspath $(O))' tests/run-vm $(O)/results/vm $(if $(KERNELS),--kernels '$(KERNELS)') \
		$(if $(SCENARIOS),--scenarios '$(SCENARIOS)') $(if $(ALL),--all) \
		$(if $(TRACED),--traced $(TRACED))

demo:
	$(Q)packaging/need --install build vm
	$(Q)$(MAKE) -j$$(nproc) guest-programs
	$(Q)O='$(abspath $(O))' tests/vm/demo

demo-top:
	$(Q)packaging/need --install build vm
	$(Q)$(MAKE) -j$$(nproc) guest-programs
	$(Q)O='$(abspath $(O))' tests/vm/demo --top

bench: $(PROGS) $(BENCH)
	$(Q)packaging/need --install build vm
	$(Q)tests/bench/run $(B) $(O)/bench
	$(Q)O='$(abspath $(O))' tests/vm/pincost
	$(Q)O='$(abspath $(O))' tests/vm/topcost

# FUZZ_SECONDS are for each target of tests/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link$(comma)address$(comma)undefined \
	-fno-sanitize-recover=undefined

$(O)/fuzz/obj/%.o: %.c | $(SKELS)
	$(call msg,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_CPPFLAGS) -std=gnu11 -Wall -Wextra $(WERROR) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

# What draws on a terminal is no part of it; a recording is read without what looks at a machine.
FUZZ_SRCS = $(filter-out src/view/top/% src/live/%,$(SRCS))
FUZZ_RECORDING_SRCS = $(filter-out src/opts/% src/watch/% src/collect/%,$(FUZZ_SRCS)) src/collect/refusal.c

$(O)/fuzz/fuzz-image: $(FUZZ_SRCS:%.c=$(O)/fuzz/obj/%.o)
$(O)/fuzz/fuzz-recording: $(FUZZ_RECORDING_SRCS:%.c=$(O)/fuzz/obj/%.o)
$(FUZZ_TARGETS:%=$(O)/fuzz/fuzz-%): $(O)/fuzz/fuzz-%: $(O)/fuzz/obj/tests/fuzz/%.o
	$(Q)$(CLANG) -fsanitize=fuzzer$(comma)address$(comma)undefined $^ $(LDLIBS) -o $@

fuzz: all
	$(Q)packaging/need --install build unit
	$(Q)$(MAKE) $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz-%)
	$(Q)tests/fuzz/seeds $(O)/fuzz/seeds $(B)/daxtrace
	$(Q)for target in $(FUZZ_TARGETS); do \
		tests/fuzz/run $(O)/fuzz/fuzz-$$target $(O)/fuzz/$$target $(FUZZ_SECONDS) \
			$(O)/fuzz/seeds/$$target || exit; \
	done

# Recordings come from elsewhere: a little of it belongs to every check.
check-fuzz:
	$(Q)mkdir -p $(O)/results
	$(Q)$(MAKE) -j$$(nproc) fuzz FUZZ_TARGETS=recording FUZZ_SECONDS=20 >$(O)/results/fuzz.log 2>&1 || \
		{ tail -n 40 $(O)/results/fuzz.log; false; }
	$(Q)rm $(O)/results/fuzz.log
	$(Q)echo 'pass fuzz/recording' >$(O)/results/fuzz

# Memory images of hangs on every kernel, for tests/unit.
images:
	$(Q)packaging/need --install build vm
	$(Q)$(MAKE) all
	$(Q)O='$(abspath $(O))' tests/vm/capture $(KERNELS)

lint:
	$(Q)packaging/need --install lint
	$(Q)mkdir -p $(O)/results
	$(Q)CLANG_FORMAT='$(CLANG_FORMAT)' tests/lint/run $(O)/results/lint $(C_FILES)

fmt:
	$(Q)$(CLANG_FORMAT) -i $(C_FILES)

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 0755 $(PROGS) $(DESTDIR)$(SBINDIR)
	install -m 0644 $(MANUALS) $(DESTDIR)$(MANDIR)/man8
	install -m 0644 man/daxtrace.5 $(DESTDIR)$(MANDIR)/man5
	sed 's|@SBINDIR@|$(SBINDIR)|' packaging/daxtrace-recorder.service \
		>$(DESTDIR)$(UNITDIR)/daxtrace-recorder.service
	set -e; for prog in daxtrace daxtop; do \
		$(B)/$$prog --completion=bash >$(DESTDIR)$(BASHDIR)/$$prog; \
		$(B)/$$prog --completion=zsh >$(DESTDIR)$(ZSHDIR)/_$$prog; \
		$(B)/$$prog --completion=fish >$(DESTDIR)$(FISHDIR)/$$prog.fish; \
	done

uninstall:
	rm -f $(PROGS:$(B)/%=$(DESTDIR)$(SBINDIR)/%) $(MANUALS:man/%=$(DESTDIR)$(MANDIR)/man8/%) \
		$(DESTDIR)$(MANDIR)/man5/daxtrace.5 $(DESTDIR)$(UNITDIR)/daxtrace-recorder.service \
		$(foreach p,daxtrace daxtop,$(DESTDIR)$(BASHDIR)/$p $(DESTDIR)$(ZSHDIR)/_$p \
			$(DESTDIR)$(FISHDIR)/$p.fish)

clean:
	rm -rf $(O)

-include $(OBJS:.o=.d) $(TESTS:$(B)/tests/%=$(B)/obj/tests/unit/%.d) \
	$(PROGS:$(B)/%=$(B)/obj/tools/%.d) $(BPF_SRCS:bpf/%.bpf.c=$(O)/bpf/%.bpf.d) \
	$(wildcard $(O)/fuzz/obj/*/*/*.d)
