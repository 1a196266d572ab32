# qat.mk - a model of 4-bit integers that was trained to be one
#
#   make -f qat.mk MODEL=model.dsm TRAIN=train/ TEST=test/
#
# MODEL   a trained model               TRAIN, TEST  samples with labels, of the kinds that ds-train(1) takes
# BITS    w4a4, w2a2, w4a8, w8a8        EPOCHS, LR   of the training with fake quantisation
# AUGMENT, BATCH as of ds-train               SEED, OUT    of the random numbers; where results go
MODEL   ?= model.dsm
TRAIN   ?= train
TEST    ?= test
BITS    ?= w4a4
EPOCHS  ?= 2
LR      ?= .01
BATCH   ?= 128
AUGMENT ?=
SEED    ?= 0
OUT     ?= out

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk

all: $(OUT)/report.tsv
# what rounding alone gives, beside it
$(OUT)/rounded.dsm: $(MODEL) | $(OUT)
	ds-quantize --bits $(BITS) -c $(TRAIN) $< -o $@
$(OUT)/fake.dsm: $(MODEL) | $(OUT)
	ds-quantize --qat --bits $(BITS) -c $(TRAIN) $< -o $@
$(OUT)/trained.dsm: $(OUT)/fake.dsm
	ds-distill -t $(MODEL) -d $(TRAIN) --alpha .5 --epochs $(EPOCHS) --lr $(LR) --batch $(BATCH) --seed $(SEED) $(if $(AUGMENT),--augment $(AUGMENT)) $< -o $@
$(OUT)/small.dsm: $(OUT)/trained.dsm
	ds-quantize --bits trained $< -o $@
$(OUT)/report.tsv: $(MODEL) $(OUT)/rounded.dsm $(OUT)/small.dsm
	$(call report,$^)
