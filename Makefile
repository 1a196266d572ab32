# Makefile of the ds tools; `make list` prints the targets
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DATADIR    ?= $(PREFIX)/share
CC         ?= cc
B          ?= build
VERSION    := $(shell cat VERSION)
MAKEFLAGS  += --no-builtin-rules

# Optional libraries: present or absent, one row each.
have        = $(shell pkg-config --exists $(1) 2>/dev/null && echo 1)
HAVE_JPEG  ?= $(call have,libjpeg)
OPT         = -O2
WARN        = -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wwrite-strings \
              -Werror=implicit -Werror=return-type -Wno-missing-field-initializers -Wno-unused-parameter
HARDEN      = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
              -fno-delete-null-pointer-checks -fno-strict-overflow
BASE_CFLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -ffp-contract=off -fno-strict-aliasing -MMD -MP -Ilib $(WARN) $(HARDEN) $(OPT) -g
ifeq ($(HAVE_JPEG),1)
BASE_CFLAGS += -DHAVE_JPEG
LIBS_JPEG   = -ljpeg
endif
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(LDFLAGS)
LIBS        = -lpng $(LIBS_JPEG) -lzstd -lz -lpthread -lm

ARCH       := $(shell uname -m)
LIB_C      := $(wildcard lib/*/*.c)
ifeq ($(ARCH),x86_64)
LIB_C      += $(wildcard lib/kernel/x86/*.c)
endif
LIB_O      := $(LIB_C:%.c=$(B)/%.o)
CMD_C      := $(wildcard cmd/ds-*.c)
CMDS       := $(CMD_C:cmd/%.c=$(B)/%)
UNIT_C     := $(wildcard test/unit/*.c test/kernel/*.c test/op/*.c)
UNITS      := $(UNIT_C:test/%.c=$(B)/test/%)

all: $(B)/libds.a $(CMDS)

# one file per instruction set: the name says which
$(B)/lib/kernel/x86/avx2_%.o:    ISA = -mavx2 -mfma -mf16c
$(B)/lib/kernel/x86/avxvnni_%.o: ISA = -mavx2 -mfma -mavxvnni
$(B)/lib/kernel/x86/avx512_%.o:  ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
$(B)/lib/kernel/x86/vnni_%.o:    ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mprefer-vector-width=512
$(B)/lib/kernel/x86/amx_%.o:     ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mamx-tile -mamx-int8 -mfma

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(ISA) $(CFLAGS) $(CPPFLAGS) -c $< -o $@
$(B)/libds.a: $(LIB_O)
	@rm -f $@
	ar rcD $@ $^
$(B)/ds-%: $(B)/cmd/ds-%.o $(B)/libds.a
	$(CC) $(CFLAGS) $(LDFLAGS_ALL) $^ $(LIBS) -o $@
$(B)/test/%: test/%.c $(B)/libds.a
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) $(CPPFLAGS) -MF $@.d $< $(LDFLAGS_ALL) $(B)/libds.a $(LIBS) -o $@

clean:
	rm -rf $(B)
.PHONY: all clean
-include $(LIB_O:.o=.d) $(CMDS:$(B)/%=$(B)/cmd/%.d) $(UNITS:%=%.d)
