# anomaly.mk - what is unlike the past of a series: an autoencoder learns normal windows and answers with how badly it draws a window
#
#   make -f anomaly.mk TABLE=machine.csv COLUMNS=value NORMAL=:30%
#
# TABLE    CSV with a header            COLUMNS  what is looked at
# NORMAL   a range of rows without anomalies      NET, WINDOW, EPOCHS, LR, SEED, OUT
# The result is OUT/scores.tsv: a row for each window with its error.
TABLE   ?= table.csv
COLUMNS ?= value
NORMAL  ?= :30%
WINDOW  ?= 64
specs   := $(dir $(lastword $(MAKEFILE_LIST)))../specs
NET     ?= $(specs)/conv-autoencoder.spec
EPOCHS  ?= 10
LR      ?= .002
BATCH   ?= 64
SEED    ?= 0
OUT     ?= out
TEST    ?= $(TABLE)

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk
comma := ,
features = $(words $(subst $(comma), ,$(COLUMNS)))

all: $(OUT)/scores.tsv
$(OUT)/new.dsm: $(NET) | $(OUT)
	ds-convert --columns $(COLUMNS) -D features=$(features) -D window=$(WINDOW) --seed $(SEED) $< -o $@
$(OUT)/normal.dsm: $(OUT)/new.dsm $(TABLE)
	ds-train -d '$(TABLE)[$(NORMAL)]' --target input --optimizer adamw --lr $(LR) --epochs $(EPOCHS) --batch $(BATCH) --seed $(SEED) $< -o $@
$(OUT)/scores.tsv: $(OUT)/normal.dsm
	ds-run -m $< '$(TEST)' > $@
	@echo "the windows that are least like the past:"; tail -n +2 $@ | sort -t"$$(printf '\t')" -k3,3gr | head -5
