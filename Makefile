# Makefile of the ds tools; `make list` prints the targets
#
# Variables that are made for setting: PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR DATADIR DESTDIR CC CFLAGS CPPFLAGS LDFLAGS
#   B=DIR    build in DIR (build)       V=1     show commands       SAN=1   address and undefined-behaviour sanitizers
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
CC         ?= cc
B          ?= build
VERSION    := $(shell cat VERSION)
SOVERSION  := 0
MAKEFLAGS  += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
export LC_ALL := C

all:

# `make deps check`: what deps installs is known only to a make that starts afterwards
ifneq ($(filter deps,$(MAKECMDGOALS)),)
after := $(filter-out deps,$(MAKECMDGOALS))
.PHONY: all deps $(after)
deps:
	@sh test/deps.sh
ifneq ($(after),)
$(firstword $(after)): deps
	@$(MAKE) --no-print-directory $(after)
$(wordlist 2,99,$(after)): $(firstword $(after))
	@:
endif
else

# ---- what this compiler and this system have: found out once per build directory ------------------------------------------------------
ifeq ($(filter-out clean list uninstall dist format,$(or $(MAKECMDGOALS),all)),)
else
-include $(B)/config.mk
endif
$(B)/config.mk: test/probe.sh
	@mkdir -p $(@D)
	@CC='$(CC)' sh test/probe.sh > $@.new && mv $@.new $@

OPT         = -O2 -g
LOOPS       = -O3 -g -fno-math-errno -fno-trapping-math
WARN        = -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wwrite-strings \
              -Werror=implicit -Werror=return-type -Werror=incompatible-pointer-types -Wno-missing-field-initializers -Wno-unused-parameter
ifdef SAN
# vectorising instrumented loops takes compilers minutes
OPT         = -O1 -g
LOOPS       = -O1 -g -fno-math-errno -fno-trapping-math
HARDEN      =
SANITIZE    = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
# paths of this machine stay out of the objects, so that two builds are equal
REPRO       = '-ffile-prefix-map=$(CURDIR)=.' '-ffile-prefix-map=$(abspath $(B))=build'
ALL_CFLAGS  = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -ffp-contract=off -fno-strict-aliasing -MMD -MP -Ilib \
              $(WARN) $(QUIET) $(HARDEN) $(SANITIZE) $(REPRO) $(OPT) $(if $(HAVE_JPEG),-DHAVE_JPEG)
ALL_LDFLAGS = $(HARDEN_LD) -Wl,--as-needed $(SANITIZE) $(LDFLAGS)
LIBS        = -lpng $(if $(HAVE_JPEG),-ljpeg) -lzstd -lz -lpthread -lm
ifndef V
Q           = @
say         = @printf '  %-7s %s\n' '$(1)' '$(2)';
else
say         =
endif

# ---- sources ----------------------------------------------------------------------------------------------------------------------------
ARCH       := $(shell uname -m)
LIB_C      := $(filter-out lib/cli/%,$(wildcard lib/*/*.c))
ifeq ($(ARCH),x86_64)
LIB_C      += $(wildcard lib/kernel/x86/*.c)
endif
CLI_C      := $(wildcard lib/cli/*.c)
LIB_O      := $(LIB_C:%.c=$(B)/%.o)
CLI_O      := $(CLI_C:%.c=$(B)/%.o)
CMD_C      := $(wildcard cmd/ds-*.c)
CMDS       := $(CMD_C:cmd/%.c=$(B)/%)
PART_C     := $(wildcard $(CMD_C:cmd/ds-%.c=cmd/%/*.c))
UNIT_C     := $(wildcard test/unit/*.c test/kernel/*.c test/op/*.c test/fault/*.c)
UNITS      := $(UNIT_C:test/%.c=$(B)/test/%)
SAMPLERS   := $(patsubst %.c,$(B)/%,$(wildcard test/sample/*.c))
FUZZ_C     := $(wildcard test/fuzz/fuzz_*.c)
FUZZERS    := $(FUZZ_C:%.c=$(B)/%)
BENCH_C    := $(wildcard test/bench/*.c)
BENCHES    := $(BENCH_C:test/%.c=$(B)/test/%)
SHARED     := $(B)/libds.so.$(VERSION)
PROGS      := $(notdir $(CMDS))

all: $(B)/libds.a $(SHARED) $(CMDS) $(B)/test/ds-skeleton ## library (static and shared) and filters

# one file per instruction set: the name says which
$(B)/lib/kernel/x86/avx2_%.o:    ISA = -mavx2 -mfma -mf16c
$(B)/lib/kernel/x86/avxvnni_%.o: ISA = -mavx2 -mfma -mavxvnni
$(B)/lib/kernel/x86/avx512_%.o:  ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
$(B)/lib/kernel/x86/vnni_%.o:    ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mprefer-vector-width=512
$(B)/lib/kernel/x86/amx_%.o:     ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mamx-tile -mamx-int8 -mfma
$(B)/lib/kernel/x86/avx512bf16_%.o: ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mfma -mprefer-vector-width=512
$(B)/lib/kernel/x86/amxbf16_%.o: ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16 -mfma

# loops over elements: -O2 of gcc 12 does not vectorise them
# neither flag changes a result: errno is not read, floating-point traps are not used
$(B)/lib/op/%.o: OPT = $(LOOPS)
$(B)/lib/kernel/act_c.o $(B)/lib/kernel/x86/avx2_act.o $(B)/lib/kernel/x86/avx512_act.o: OPT = $(LOOPS)

ifdef HAVE_SNDFILE
$(B)/lib/data/sound.o $(B)/lib/data/sound_sndfile.o $(B)/lib/cli/version.o: ALL_CFLAGS += -DHAVE_SNDFILE=$(HAVE_SNDFILE)
endif

$(B)/%.o: %.c $(B)/config.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) $(ISA) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(B)/libds.a: $(LIB_O)
	@rm -f $@
	$(call say,AR,$@)ar rcD $@ $^
$(B)/cli.a: $(CLI_O)
	@rm -f $@
	$(call say,AR,$@)ar rcD $@ $^
$(SHARED): $(LIB_O)
	$(call say,LD,$@)$(CC) -shared $(ALL_CFLAGS) $(CFLAGS) $(filter-out -pie,$(ALL_LDFLAGS)) -Wl,-soname,libds.so.$(SOVERSION) \
		$(if $(SAN),,-Wl$(comma)--no-undefined) $^ $(LIBS) -o $@
	@ln -sf libds.so.$(VERSION) $(B)/libds.so.$(SOVERSION)
	@ln -sf libds.so.$(SOVERSION) $(B)/libds.so
comma := ,

LINK = $(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ENDLINK = $(ALL_LDFLAGS) $(B)/cli.a $(B)/libds.a $(LIBS) -o $@
# a filter is cmd/ds-NAME.c and, when that grows long, cmd/NAME/*.c
.SECONDEXPANSION:
$(B)/ds-%: $(B)/cmd/ds-%.o $$(addprefix $(B)/,$$(addsuffix .o,$$(basename $$(wildcard cmd/$$*/*.c)))) $(B)/cli.a $(B)/libds.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(filter %.o,$^) $(ENDLINK)
$(B)/test/ds-skeleton: $(B)/cmd/skeleton.o $(B)/cli.a $(B)/libds.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $< $(ENDLINK)
# allocations of our code can be made to fail
$(B)/test/fault/alloc: LDFLAGS += $(foreach f,malloc calloc realloc posix_memalign free,-Wl$(comma)--wrap=$(f))
$(UNITS) $(BENCHES) $(SAMPLERS): $(B)/test/%: test/%.c $(B)/cli.a $(B)/libds.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -MF $@.d $< $(ENDLINK)
# a fuzz target with a driver that replays the corpus; with the engine under `make fuzz`
ifdef ENGINE
# checksums are not compared: a mutant would not get past them (compilers before clang 17 do not define this by themselves)
ALL_CFLAGS += -fsanitize=fuzzer-no-link -UFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION=1
$(FUZZERS): $(B)/%: %.c $(B)/cli.a $(B)/libds.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -fsanitize=fuzzer -MF $@.d $< $(ENDLINK)
else
$(FUZZERS): $(B)/%: %.c $(B)/test/fuzz/driver.o $(B)/cli.a $(B)/libds.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -MF $@.d $< $(B)/test/fuzz/driver.o $(ENDLINK)
endif
fuzzers: $(if $(T),$(T:%=$(B)/test/fuzz/fuzz_%),$(FUZZERS))

# ---- tests ------------------------------------------------------------------------------------------------------------------------------
# Each item is a program or a bats file; test/run.sh runs them, counts, and ends with "N passed, N failed, N skipped".
export DS_ASSETS ?= $(abspath ../shared/assets)
SUITE = $(filter-out %/conformance,$(UNITS)) $(FUZZERS) $(wildcard test/lint/*.sh) $(wildcard test/op/*.sh) $(wildcard test/cmd/*.bats)
RUN   = B='$(abspath $(B))' CC='$(CC)' SAN='$(SAN)' sh test/run.sh

check: all $(UNITS) $(FUZZERS) $(SAMPLERS) ## unit, operator, kernel, command, corpus and lint tests (T='PATTERN' chooses)
	@$(RUN) $(if $(T),$(foreach t,$(T),$(filter $(t),$(SUITE)) $(foreach s,$(SUITE),$(if $(findstring $(t),$(s)),$(s)))),$(SUITE))
check-cpu: $(UNITS) ## kernel and operator tests at each CPU level
	@for level in c c,avx2 c,avx2,avx512 all; do echo "DS_CPU=$$level"; \
		if [ $$level = all ]; then unset DS_CPU; else export DS_CPU=$$level; fi; \
		$(RUN) $(UNITS) || exit 1; done
check-san: ## the whole suite under the address and undefined-behaviour sanitizers
	$(MAKE) --no-print-directory B=$(B)-asan SAN=1 check
check-all: check check-cpu check-san ## everything: CPU levels and sanitizers too
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
fuzz: ## run each fuzz target for FUZZ_SECONDS with clang's engine (T=NAME chooses one)
	@command -v $(FUZZ_CC) >/dev/null || { echo 'make fuzz: clang is needed' >&2; exit 1; }
	$(MAKE) B=$(B)-fuzz SAN=1 ENGINE=1 CC='$(FUZZ_CC)' T='$(T)' fuzzers
	@B='$(B)-fuzz' sh test/fuzz/run.sh '$(FUZZ_SECONDS)' $(or $(T),$(FUZZ_C:test/fuzz/fuzz_%.c=%))
lint: all ## rooms, symbols, headers, banned functions, sizes, spaces, tables
	@$(RUN) $(wildcard test/lint/*.sh)
conformance: all $(B)/test/op/conformance ## ONNX's operator cases, when they are there (DS_ASSETS)
	@$(RUN) test/op/conformance.sh
bench: all $(BENCHES) ## kernels and models, timed
	@B='$(abspath $(B))' sh test/bench/run.sh
demo: all $(B)/test/sample/draw ## the main job on the shipped sample
	@B='$(abspath $(B))' sh test/sample/demo.sh
format: ## clang-format on files that git says have changed
	@git diff --name-only HEAD -- '*.c' '*.h' | xargs -r clang-format -i
docs: all ## refresh everything that is made from the option tables
	@B='$(abspath $(B))' sh test/docs.sh write
deps: ## install what is missing to build and test (Debian), or name it
dist: ## source archive from the last commit
	@mkdir -p $(B)
	git archive --format=tar.gz --prefix=ds-tools-$(VERSION)/ -o $(B)/ds-tools-$(VERSION).tar.gz HEAD
list: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | awk -F'\t' '{ printf "%-12s %s\n", $$1, $$2 }'
clean: ## remove what was built
	rm -rf $(B) $(B)-asan $(B)-fuzz

# ---- installation -----------------------------------------------------------------------------------------------------------------------
D          = $(DESTDIR)
BASH_DIR   = $(DATADIR)/bash-completion/completions
ZSH_DIR    = $(DATADIR)/zsh/site-functions
SPECS     := $(wildcard cmd/specs/*.spec)
RECIPES   := $(wildcard cmd/recipes/*.mk)
FISH_DIR   = $(DATADIR)/fish/vendor_completions.d
PAGES     := $(foreach s,1 5 7,$(wildcard man/*.$(s)))
put        = install -d -m 755 '$(D)$(2)' && install -m $(1) $(3) '$(D)$(2)/'
# a pkg-config file that moves with the tree, where the library lies in PREFIX/lib
PC_PREFIX  = $(if $(filter $(PREFIX)/lib,$(LIBDIR)),$${pcfiledir}/../..,$(PREFIX))
relative   = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

install: all ## DESTDIR and the directory variables are honoured
	@umask 022; set -e; \
	$(if $(CMDS),$(call put,755,$(BINDIR),$(CMDS));) \
	$(call put,644,$(INCLUDEDIR),lib/ds.h); \
	$(call put,644,$(LIBDIR),$(B)/libds.a $(SHARED)); \
	ln -sf libds.so.$(VERSION) '$(D)$(LIBDIR)/libds.so.$(SOVERSION)'; \
	ln -sf libds.so.$(SOVERSION) '$(D)$(LIBDIR)/libds.so'; \
	install -d -m 755 '$(D)$(LIBDIR)/pkgconfig'; \
	printf '%s\n' 'prefix=$(PC_PREFIX)' 'libdir=$(call relative,$(LIBDIR))' 'includedir=$(call relative,$(INCLUDEDIR))' '' \
		'Name: ds' 'Description: neural networks, small: read and run ds-model files' 'Version: $(VERSION)' \
		'Libs: -L$${libdir} -lds' 'Libs.private: $(LIBS)' 'Cflags: -I$${includedir}' > '$(D)$(LIBDIR)/pkgconfig/ds.pc'; \
	chmod 644 '$(D)$(LIBDIR)/pkgconfig/ds.pc'; \
	$(foreach p,$(PAGES),$(call put,644,$(MANDIR)/man$(subst .,,$(suffix $(p))),$(p));) \
	$(if $(wildcard lib/format/dsm.magic),install -d -m 755 '$(D)$(DATADIR)/ds' && install -m 644 lib/format/dsm.magic '$(D)$(DATADIR)/ds/magic';) \
	$(if $(SPECS),$(call put,644,$(DATADIR)/ds/specs,$(SPECS));) \
	$(if $(RECIPES),$(call put,644,$(DATADIR)/ds/recipes,$(RECIPES));) \
	$(if $(CMDS),$(call put,644,$(BASH_DIR),$(PROGS:%=completions/bash/%)); \
	$(call put,644,$(ZSH_DIR),$(PROGS:%=completions/zsh/_%)); \
	$(call put,644,$(FISH_DIR),$(PROGS:%=completions/fish/%.fish)))

uninstall: ## remove what install put there, and nothing else
	@rm -f $(PROGS:%='$(D)$(BINDIR)/%') '$(D)$(INCLUDEDIR)/ds.h' '$(D)$(LIBDIR)/libds.a' '$(D)$(LIBDIR)/libds.so' \
		'$(D)$(LIBDIR)/libds.so.$(SOVERSION)' '$(D)$(LIBDIR)/libds.so.$(VERSION)' '$(D)$(LIBDIR)/pkgconfig/ds.pc' \
		$(foreach p,$(PAGES),'$(D)$(MANDIR)/man$(subst .,,$(suffix $(p)))/$(notdir $(p))') '$(D)$(DATADIR)/ds/magic' \
		$(foreach f,$(SPECS),'$(D)$(DATADIR)/ds/specs/$(notdir $(f))') $(foreach f,$(RECIPES),'$(D)$(DATADIR)/ds/recipes/$(notdir $(f))') \
		$(PROGS:%='$(D)$(BASH_DIR)/%') $(PROGS:%='$(D)$(ZSH_DIR)/_%') $(PROGS:%='$(D)$(FISH_DIR)/%.fish')
	@-for d in specs recipes; do test ! -d '$(D)$(DATADIR)/ds/'$$d || rmdir --ignore-fail-on-non-empty '$(D)$(DATADIR)/ds/'$$d; done
	@-test ! -d '$(D)$(DATADIR)/ds' || rmdir --ignore-fail-on-non-empty '$(D)$(DATADIR)/ds'

.PHONY: all check check-cpu check-san check-all fuzz fuzzers lint conformance bench demo format docs deps dist list clean install uninstall
-include $(LIB_O:.o=.d) $(CLI_O:.o=.d) $(CMD_C:%.c=$(B)/%.d) $(PART_C:%.c=$(B)/%.d) $(UNITS:%=%.d) $(FUZZERS:%=%.d) $(BENCHES:%=%.d) $(SAMPLERS:%=%.d) $(B)/cmd/skeleton.d $(B)/test/fuzz/driver.d
endif
