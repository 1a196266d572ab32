# keyword.mk - words from their sound: a network for keywords, then 8-bit integers of it
#
#   make -f keyword.mk TRAIN=train/ TEST=test/ CLASSES=10 RATE=8000 SAMPLES=8000
#
# TRAIN, TEST  a directory of WAV or FLAC files per word         CLASSES  how many there are
# RATE, SAMPLES  frames in a second; frames that the network hears        NET, EPOCHS, LR, SEED, OUT
TRAIN   ?= train
TEST    ?= test
CLASSES ?= 10
RATE    ?= 8000
SAMPLES ?= 8000
specs   := $(dir $(lastword $(MAKEFILE_LIST)))../specs
NET     ?= $(specs)/speech.spec
EPOCHS  ?= 30
LR      ?= .003
BATCH   ?= 32
SEED    ?= 0
OUT     ?= out

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk

all: $(OUT)/report.tsv
$(OUT)/new.dsm: $(NET) | $(OUT)
	ds-convert -D classes=$(CLASSES) -D rate=$(RATE) -D samples=$(SAMPLES) --seed $(SEED) $< -o $@
$(OUT)/words.dsm: $(OUT)/new.dsm
	ds-train -d $(TRAIN) --augment shift:400,noise:.005 --optimizer adamw --lr $(LR) --schedule onecycle --epochs $(EPOCHS) --batch $(BATCH) --seed $(SEED) $< -o $@
$(OUT)/small.dsm: $(OUT)/words.dsm
	ds-quantize --bits w8a8 -c $(TRAIN) $< -o $@
$(OUT)/report.tsv: $(OUT)/words.dsm $(OUT)/small.dsm
	$(call report,$^)
