# dpf.mk - the whole way of a network to a fraction of its size: channels that the loss feels least leave in stages, the network learns again from what it was, and
#          4-bit integers are trained instead of rounded
#
#   make -f dpf.mk MODEL=model.dsm TRAIN=train/ TEST=test/ RATIO=.4
#
# MODEL    a trained model              TRAIN, TEST   samples with labels
# RATIO    share of the channels that go (0: none)    CRITERION  taylor, fisher, l1, random
# STAGES   in how many steps            HEAL, HEAL_LR epochs of training after each of them, and their rate
# BITS     w4a8, w4a4, w8a8             QAT, QAT_LR   epochs with fake quantisation, and their rate
# AUGMENT, BATCH, SEED, OUT             as of ds-train; where results go
MODEL     ?= model.dsm
TRAIN     ?= train
TEST      ?= test
RATIO     ?= .3
CRITERION ?= taylor
STAGES    ?= 2
SAMPLES   ?= 2048
HEAL      ?= 2
HEAL_LR   ?= .05
BITS      ?= w4a8
QAT       ?= 2
QAT_LR    ?= .01
BATCH     ?= 128
AUGMENT   ?=
SEED      ?= 0
OUT       ?= out

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk
words = -d $(TRAIN) --batch $(BATCH) --seed $(SEED) $(if $(AUGMENT),--augment $(AUGMENT))
learn = ds-distill -t $(MODEL) --alpha .5 $(words)
# share that goes in one stage, so that RATIO is gone after all of them
share = $(shell awk 'BEGIN { printf "%.6f", 1 - exp(log(1 - $(RATIO)) / $(STAGES)) }')
gradient = $(filter taylor fisher snip,$(CRITERION))
stages = $(shell seq $(STAGES))

all: $(OUT)/report.tsv
$(OUT)/stage-0.dsm: $(MODEL) | $(OUT)
	cp $< $@
define stage
$(OUT)/cut-$(1).dsm: $(OUT)/stage-$(shell expr $(1) - 1).dsm
	ds-prune --ratio $$(share) --criterion $(CRITERION) $(if $(gradient),-d $(TRAIN) --samples $(SAMPLES)) --seed $(SEED) -c $(TRAIN) $$< -o $$@
$(OUT)/stage-$(1).dsm: $(OUT)/cut-$(1).dsm
	$$(learn) --epochs $(HEAL) --lr $(HEAL_LR) $$< -o $$@
endef
$(foreach s,$(stages),$(eval $(call stage,$(s))))
$(OUT)/fake.dsm: $(OUT)/stage-$(STAGES).dsm
	ds-quantize --qat --bits $(BITS) -c $(TRAIN) $< -o $@
$(OUT)/trained.dsm: $(OUT)/fake.dsm
	$(learn) --epochs $(QAT) --lr $(QAT_LR) $< -o $@
$(OUT)/small.dsm: $(OUT)/trained.dsm
	ds-quantize --bits trained $< -o $@
$(OUT)/report.tsv: $(MODEL) $(OUT)/stage-$(STAGES).dsm $(OUT)/small.dsm
	$(call report,$^)
