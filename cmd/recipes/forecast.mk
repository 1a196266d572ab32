# forecast.mk - the next values of a series, from a table with one row per step of time
#
#   make -f forecast.mk TABLE=etth1.csv COLUMNS=HUFL,HULL,MUFL,MULL,LUFL,LULL,OT TRAIN=0:12194 TEST=13936:17420
#
# TABLE    CSV with a header            COLUMNS  what is seen and foretold
# TRAIN, TEST  ranges of rows, or shares such as :70% and 80%:   WINDOW, HORIZON  rows seen, rows foretold
# NET      a description (ds-spec(5)): lstm.spec, tcn-forecast.spec      EPOCHS, LR, SEED, OUT
TABLE   ?= table.csv
COLUMNS ?=
TRAIN   ?= :70%
VALID   ?= 70%:80%
TEST    ?= $(TABLE)[80%:]
WINDOW  ?= 96
HORIZON ?= 24
specs   := $(dir $(lastword $(MAKEFILE_LIST)))../specs
NET     ?= $(specs)/lstm.spec
EPOCHS  ?= 6
LR      ?= .003
BATCH   ?= 64
SEED    ?= 0
OUT     ?= out

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk
comma := ,
features = $(words $(subst $(comma), ,$(COLUMNS)))

all: $(OUT)/report.tsv
$(OUT)/new.dsm: $(NET) | $(OUT)
	ds-convert --columns $(COLUMNS) --target $(COLUMNS) -D features=$(features) -D window=$(WINDOW) -D horizon=$(HORIZON) --seed $(SEED) $< -o $@
$(OUT)/forecaster.dsm: $(OUT)/new.dsm $(TABLE)
	ds-train -d '$(TABLE)[$(TRAIN)]' --validate '$(TABLE)[$(VALID)]' --keep best --optimizer adamw --lr $(LR) --epochs $(EPOCHS) --batch $(BATCH) --clip 1 --seed $(SEED) $< -o $@
$(OUT)/small.dsm: $(OUT)/forecaster.dsm
	ds-quantize --bits w8 $< -o $@
$(OUT)/report.tsv: $(OUT)/forecaster.dsm $(OUT)/small.dsm
	$(call report,$^)
