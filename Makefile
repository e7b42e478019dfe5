# Outbox: one Makefile, no configure step. `make help` lists the targets.
#
# liboutbox/*.c            the library; build/liboutbox.a, .so.0
# liboutbox/mod_*.c        with all the library once more, for whatever SQLite loads it: build/mod_outbox.so
# relay/*.c relay/sinks/*.c   outbox-relay (everything but main.c is shared with the tests and outboxctl)
# relay/ctl/*.c            outboxctl
# tests/unit/*_test.c      one cmocka program each; tests/e2e/*.sh one TAP script each; tests/support/*.c helpers
# tests/fuzz/*_fuzz.c      one harness each, replayed over its corpus by the tests; tests/model/*.pml models for spin

VERSION   := 0.1.0
PREFIX    ?= /usr/local
DESTDIR   ?=
BUILD     ?= build
CC        ?= cc
PKG_CONFIG ?= pkg-config
JOBS      ?= $(shell nproc 2>/dev/null || echo 2)

PACKAGES  := sqlite3 libcurl libcrypto libconfuse
TEST_PACKAGES := cmocka libmicrohttpd

WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla \
             -Wformat=2 -Wconversion -Wno-sign-conversion
ifdef WERROR
WARNINGS  += -Werror
endif
OPTIMISE  ?= -O2 -g
ifeq ($(SANITIZE),)
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif
LDHARDEN  := -Wl,-z,relro,-z,now -Wl,--as-needed
SANFLAGS  := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CFLAGS    ?= $(OPTIMISE)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -fdebug-prefix-map=$(CURDIR)=. -pthread $(WARNINGS) $(HARDENING) $(SANFLAGS) $(CFLAGS) \
             -Iliboutbox -Irelay -DOUTBOX_BUILD_VERSION='"$(VERSION)"' -MMD -MP
ALL_LDFLAGS = -pthread $(LDHARDEN) $(SANFLAGS) $(LDFLAGS)

SQLITE_LIBS  = $(shell $(PKG_CONFIG) --libs sqlite3)
RELAY_LIBS   = $(shell $(PKG_CONFIG) --libs $(PACKAGES))
TEST_LIBS    = $(shell $(PKG_CONFIG) --libs $(TEST_PACKAGES))

LIB_SRC   := $(filter-out liboutbox/outbox_webhook.c liboutbox/mod_%.c,$(wildcard liboutbox/*.c))
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/schema_sql.o
MOD_SRC   := $(LIB_SRC) $(wildcard liboutbox/mod_*.c)
MOD_OBJ   := $(MOD_SRC:%.c=$(BUILD)/mod/%.o) $(BUILD)/mod/schema_sql.o
HOOK_SRC  := $(wildcard liboutbox/outbox_webhook.c)
HOOK_OBJ  := $(HOOK_SRC:%.c=$(BUILD)/obj/%.o)
RELAY_SRC := $(filter-out relay/main.c,$(wildcard relay/*.c)) $(wildcard relay/sinks/*.c)
RELAY_OBJ := $(RELAY_SRC:%.c=$(BUILD)/obj/%.o)
CTL_SRC   := $(wildcard relay/ctl/*.c)
CTL_OBJ   := $(CTL_SRC:%.c=$(BUILD)/obj/%.o)
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*_test.c))
SUPPORT   := $(patsubst tests/support/%.c,$(BUILD)/tests/support/%,$(wildcard tests/support/*.c))
FUZZ      := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.c))
TORTURE   := $(patsubst tests/torture/%.c,$(BUILD)/torture/%,$(wildcard tests/torture/*.c))
BENCH     := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
EXAMPLES  := $(patsubst contrib/examples/%.c,$(BUILD)/examples/%,$(wildcard contrib/examples/*/*.c))
MAN1      := $(wildcard relay/*.1 relay/ctl/*.1)
MAN3      := $(wildcard liboutbox/*.3)

PROGRAMS  := $(if $(wildcard relay/main.c),$(BUILD)/outbox-relay) $(if $(CTL_SRC),$(BUILD)/outboxctl)
EXTENSION := $(BUILD)/mod_outbox.so
LIBRARIES := $(BUILD)/liboutbox.a $(BUILD)/liboutbox.so.0 $(if $(HOOK_SRC),$(BUILD)/liboutbox-webhook.a $(BUILD)/liboutbox-webhook.so.0)

# One line per file; V=1 shows the commands.
ifndef V
Q := @
say = @printf '  %-7s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@)
endif

.PHONY: all help demo test test-node check-deps install clean asan tsan valgrind lint format bench torture examples run-tests
.PHONY: fuzz model simulate cov report teeth programs build-tests bench-full
.SECONDARY:
.DELETE_ON_ERROR:

all: $(LIBRARIES) $(EXTENSION) $(PROGRAMS)

help:
	@echo 'make              the library and the programs, in $(BUILD)/'
	@echo 'make demo         a real application, its events in a file and at a receiver'
	@echo 'make test [T=x]   all tests, or those with x in their name'
	@echo 'make test-node    those of contrib/node; builds better-sqlite3 once, in a minute or so'
	@echo 'make asan|tsan|valgrind   the tests under a checker'
	@echo 'make fuzz [T=x] [SECONDS=60]   libFuzzer on each harness of tests/fuzz'
	@echo 'make model        the models of the relay, the readers and the lease, and that spin finds errors put into them'
	@echo 'make cov          lines and branches that the tests run; fails below 95 and 85 %, or where one is not explained'
	@echo 'make simulate [COUNT=10000] [SEED=1]   drawn schedules of everything that may happen, in virtual time'
	@echo 'make teeth [T=x]  breaks the product on purpose, some 200 ways, and looks whether the tests notice'
	@echo 'make torture [T=x] [SEED=n] [COUNT=n]   kills, faults and power cuts, for minutes'
	@echo 'make report       tests/RESULTS.md, from what the last runs of the tests and of torture left'
	@echo 'make lint         format, warnings as errors, clang-tidy, cppcheck, shellcheck, man pages'
	@echo 'make bench        speed, as ratios to bare programs in the same run; T=WORD for one; bench-full for more'
	@echo 'make install DESTDIR= PREFIX=/usr/local'

# ---- Set-up: what pkg-config does not find is installed, or named -----------------------------------------------------

DEPS_STAMP := $(BUILD)/.deps-$(shell contrib/install-deps --missing 2>/dev/null | cksum | cut -d' ' -f1)

$(DEPS_STAMP):
	@contrib/install-deps
	@mkdir -p $(BUILD) && touch $@

check-deps: $(DEPS_STAMP)

# ---- Compiling --------------------------------------------------------------------------------------------------------

$(BUILD)/obj/%.o: %.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The migrations as one array of C strings: schema/001-….sql, schema/002-….sql, …
$(BUILD)/schema_sql.c: $(wildcard schema/*.sql) schema/embed.awk
	@mkdir -p $(@D)
	$(Q)awk -f schema/embed.awk $(sort $(wildcard schema/*.sql)) > $@

$(BUILD)/obj/schema_sql.o: $(BUILD)/schema_sql.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The same sources for the loadable extension: every sqlite3_ call goes through the host's table (mod_sqlite.h).
MOD_CFLAGS = -include liboutbox/mod_sqlite.h

$(BUILD)/mod/%.o: %.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) $(MOD_CFLAGS) -c -o $@ $<

$(BUILD)/mod/schema_sql.o: $(BUILD)/schema_sql.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) $(MOD_CFLAGS) -c -o $@ $<

# Linked to no libsqlite3, showing nothing but its entry points, and staying in memory once loaded (mod_outbox.c).
$(BUILD)/mod_outbox.so: $(MOD_OBJ) liboutbox/mod_outbox.map
	$(call say,LINK)
	$(Q)$(CC) -shared -Wl,--version-script=liboutbox/mod_outbox.map -Wl,-z,nodelete $(if $(SANITIZE),,-Wl,-z,defs) -o $@ $(MOD_OBJ) $(ALL_LDFLAGS)

# For the programs and tests: every internal function. For others: one object that shows nothing but outbox_*.
$(BUILD)/internal.a: $(LIB_OBJ) $(HOOK_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/relay.a: $(RELAY_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/liboutbox.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)$(LD) -r -o $(BUILD)/obj/liboutbox.o $^
	$(Q)objcopy --localize-hidden $(BUILD)/obj/liboutbox.o
	$(Q)$(AR) rcs $@ $(BUILD)/obj/liboutbox.o

$(BUILD)/liboutbox.so.0: $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -shared -Wl,-soname,liboutbox.so.0 $(if $(SANITIZE),,-Wl,-z,defs) -o $@ $^ $(ALL_LDFLAGS) $(SQLITE_LIBS)
	$(Q)ln -sf liboutbox.so.0 $(BUILD)/liboutbox.so

# liboutbox-webhook stands alone: what it shares with liboutbox (base64) is inside it, hidden.
$(BUILD)/liboutbox-webhook.a: $(HOOK_OBJ)
	@rm -f $@
	$(Q)$(LD) -r -o $(BUILD)/obj/liboutbox-webhook.o $^
	$(Q)objcopy --localize-hidden $(BUILD)/obj/liboutbox-webhook.o
	$(Q)$(AR) rcs $@ $(BUILD)/obj/liboutbox-webhook.o

$(BUILD)/liboutbox-webhook.so.0: $(HOOK_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -shared -Wl,-soname,liboutbox-webhook.so.0 $(if $(SANITIZE),,-Wl,-z,defs) -o $@ $^ $(ALL_LDFLAGS) $(shell $(PKG_CONFIG) --libs libcrypto)
	$(Q)ln -sf liboutbox-webhook.so.0 $(BUILD)/liboutbox-webhook.so

$(BUILD)/outbox-relay: $(BUILD)/obj/relay/main.o $(BUILD)/relay.a $(BUILD)/internal.a
	$(call say,LINK)
	$(Q)$(CC) -pie -o $@ $^ $(ALL_LDFLAGS) $(RELAY_LIBS)

$(BUILD)/outboxctl: $(CTL_OBJ) $(BUILD)/relay.a $(BUILD)/internal.a
	$(call say,LINK)
	$(Q)$(CC) -pie -o $@ $^ $(ALL_LDFLAGS) $(RELAY_LIBS)

# ---- Examples and the demo: they see what an installed user sees ------------------------------------------------------

examples: $(EXAMPLES)

$(BUILD)/examples/%: contrib/examples/%.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(SANFLAGS) $(CFLAGS) -Iliboutbox -o $@ $< $(wildcard $(BUILD)/liboutbox.a $(BUILD)/liboutbox-webhook.a) \
	    -pthread $(LDHARDEN) $(shell $(PKG_CONFIG) --libs sqlite3 libcrypto libmicrohttpd)

demo: all examples
	@BUILD=$(BUILD) contrib/demo

# ---- Tests ------------------------------------------------------------------------------------------------------------

$(BUILD)/tests/support/%: tests/support/%.c $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/support -o $@ $< $(BUILD)/relay.a $(BUILD)/internal.a $(ALL_LDFLAGS) $(RELAY_LIBS) $(TEST_LIBS)

$(BUILD)/torture/%: tests/torture/%.c $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(BUILD)/internal.a $(ALL_LDFLAGS) $(RELAY_LIBS)

# What is loaded before libc, into programs under test.
PRELOAD := $(patsubst tests/torture/preload/%.c,$(BUILD)/torture/%.so,$(wildcard tests/torture/preload/*.c))

$(BUILD)/torture/%.so: tests/torture/preload/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(filter-out -fsanitize=%,$(ALL_CFLAGS)) -shared -o $@ $<

# Tests of what happens out of memory: libc's allocating functions come to tests/support/fail_alloc.h.
FAIL_ALLOC = malloc calloc realloc reallocarray strdup strndup realpath getcwd fdopendir asprintf __asprintf_chk free
$(BUILD)/tests/oom_%_test: private ALL_LDFLAGS += $(FAIL_ALLOC:%=-Wl,--wrap=%)
$(BUILD)/tests/oom_warm_test: private ALL_LDFLAGS += -Wl,--wrap=sqlite3_step
$(BUILD)/tests/http_loop_test: private ALL_LDFLAGS += -Wl,--wrap=curl_multi_socket_action

# The commands, called by what has taken the place of their main().
$(BUILD)/tests/oom_ctl_test: $(CTL_OBJ)
$(BUILD)/tests/oom_ctl_test: private TESTED = $(filter-out %/main.o,$(CTL_OBJ))

# The relay's core under a clock, a disk, a network and a chance that are the test's.
SIMULATION_SRC := $(wildcard tests/simulation/*.c)
SIMULATED := clock_gettime getrandom curl_multi_add_handle curl_multi_remove_handle curl_multi_info_read http_loop_run \
             http_request_prepare http_request_answer

$(BUILD)/simulation: $(SIMULATION_SRC) $(wildcard tests/simulation/*.h) $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/simulation -o $@ $(SIMULATION_SRC) $(BUILD)/relay.a $(BUILD)/internal.a \
	    $(SIMULATED:%=-Wl,--wrap=%) $(ALL_LDFLAGS) $(RELAY_LIBS)

$(BUILD)/tests/%_test: tests/unit/%_test.c $(wildcard tests/support/*.h) $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/support -o $@ $< $(TESTED) $(BUILD)/relay.a $(BUILD)/internal.a $(ALL_LDFLAGS) $(RELAY_LIBS) $(TEST_LIBS)

# A harness and its corpus as a test, without libFuzzer; and with it, where clang has it (make fuzz).
$(BUILD)/tests/%_fuzz: tests/fuzz/%_fuzz.c tests/fuzz/replay.c tests/fuzz/fuzz.h $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/fuzz -o $@ $(filter %.c %.a,$^) $(ALL_LDFLAGS) $(RELAY_LIBS)

$(BUILD)/tests/erase_line_fuzz $(BUILD)/fuzz/erase_line: relay/ctl/erase_line.c

$(BUILD)/fuzz/%: tests/fuzz/%_fuzz.c tests/fuzz/fuzz.h $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -Itests/fuzz -o $@ $(filter %.c %.a,$^) $(ALL_LDFLAGS) $(RELAY_LIBS)

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/relay.a $(BUILD)/internal.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(BUILD)/relay.a $(BUILD)/internal.a $(ALL_LDFLAGS) $(RELAY_LIBS) $(TEST_LIBS)

programs: all examples $(SUPPORT) $(TORTURE) $(PRELOAD) $(BUILD)/simulation

build-tests: programs $(UNIT) $(FUZZ)

# COUNT schedules from SEED on, in JOBS processes; what fails says its seed
simulate: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/simulation
	@BUILD=$(BUILD) JOBS=$(JOBS) COUNT=$(COUNT) SEED=$(SEED) tests/simulation/run

test: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) build-tests
	@BUILD=$(BUILD) SANITIZE=$(SANITIZE) JOBS=$(JOBS) tests/run $(T)

# contrib/node, with better-sqlite3 built for it the first time
test-node: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) bash tests/support/node.sh
	@BUILD=$(BUILD) JOBS=$(JOBS) tests/run node

asan:
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address,undefined OPTIMISE='-O1 -g' test

tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread OPTIMISE='-O1 -g' test

# Some twenty times slower: what repeats itself a thousand times does so less often.
VALGRIND := valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=99

valgrind: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) build-tests
	@CHILDREN=20 COUNT=1 OPERATIONS=10 TEST_TIMEOUT=240 BUILD=$(BUILD) JOBS=$(JOBS) RUN_UNDER='$(VALGRIND)' tests/run --unit $(T)

# One mutant after the other, those with T in their name: is it noticed?
teeth: check-deps
	@BUILD=$(BUILD) JOBS=$(JOBS) tests/teeth/run $(T)

# What ran whole goes into tests/RESULTS.md; what was skipped has nothing to say there.
write_down = grep -q skipped $(1) || tests/results --output $(2) <$(1)

fuzz: check-deps
	@mkdir -p $(BUILD)
	@{ tests/fuzz/run '$(or $(SECONDS),60)' '$(T)'; echo $$? >$(BUILD)/fuzz.code; } | tee $(BUILD)/fuzz.txt
	@[ -n '$(T)' ] || $(call write_down,$(BUILD)/fuzz.txt,fuzzers)
	@exit $$(cat $(BUILD)/fuzz.code)

model:
	@mkdir -p $(BUILD)
	@{ tests/model/run; echo $$? >$(BUILD)/model.code; } | tee $(BUILD)/model.txt
	@$(call write_down,$(BUILD)/model.txt,models)
	@exit $$(cat $(BUILD)/model.code)

# What the tests run, and what of it they leave out.
cov: check-deps
	@mkdir -p $(BUILD)
	@{ BUILD=$(BUILD) JOBS=$(JOBS) tests/coverage/run; echo $$? >$(BUILD)/cov.code; } | tee $(BUILD)/cov.txt
	@$(call write_down,$(BUILD)/cov.txt,coverage)
	@exit $$(cat $(BUILD)/cov.code)

torture: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TORTURE) $(PRELOAD) $(SUPPORT) $(BUILD)/simulation \
	    $(BUILD)/tests/jsonl_segments_test $(BUILD)/tests/oom_write_test $(BUILD)/tests/oom_reader_test $(BUILD)/tests/oom_capture_test
	@BUILD=$(BUILD) JOBS=$(JOBS) SEED=$(SEED) COUNT=$(COUNT) tests/torture/run $(T)

report:
	@BUILD=$(BUILD) tests/report

bench: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BENCH) $(SUPPORT)
	@BUILD=$(BUILD) tests/bench/run $(T)

# With what takes longer: growth.
bench-full:
	@BENCH_FULL=1 $(MAKE) --no-print-directory bench

lint: check-deps
	@tests/lint

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# ---- Install ----------------------------------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/bin \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 liboutbox/outbox.h $(wildcard liboutbox/outbox_webhook.h) $(DESTDIR)$(PREFIX)/include/
	for lib in liboutbox $(if $(HOOK_SRC),liboutbox-webhook); do \
	    install -m 644 $(BUILD)/$$lib.a $(DESTDIR)$(PREFIX)/lib/ && \
	    install -m 755 $(BUILD)/$$lib.so.0 $(DESTDIR)$(PREFIX)/lib/ && \
	    ln -sf $$lib.so.0 $(DESTDIR)$(PREFIX)/lib/$$lib.so || exit 1; done
	install -m 755 $(EXTENSION) $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' liboutbox/outbox.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/outbox.pc
	$(if $(MAN1),install -m 644 $(MAN1) $(DESTDIR)$(PREFIX)/share/man/man1/)
	$(if $(MAN3),install -m 644 $(MAN3) $(DESTDIR)$(PREFIX)/share/man/man3/)
	$(if $(DESTDIR),,@[ "$$(id -u)" != 0 ] || PATH="$$PATH:/usr/sbin:/sbin" ldconfig || echo 'ldconfig failed: see to it that $(PREFIX)/lib is found' >&2)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
