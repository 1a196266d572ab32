# distill.mk - a small network that learns from a large one, then 8-bit integers of it
#
#   make -f distill.mk TEACHER=big.dsm STUDENT=small.dsm TRAIN=train/ TEST=test/
#
# TEACHER  a trained model              STUDENT      a network that takes the same inputs: a DSM, or a description (ds-spec(5))
# TRAIN, TEST  samples with labels      METHOD, ALPHA, TEMPERATURE  as of ds-distill(1)
# EPOCHS, LR, BATCH, AUGMENT, SEED, OUT as of ds-train; where results go
TEACHER     ?= teacher.dsm
STUDENT     ?= student.dsm
TRAIN       ?= train
TEST        ?= test
METHOD      ?= kd
ALPHA       ?= .9
TEMPERATURE ?= 4
EPOCHS      ?= 10
LR          ?= .1
BATCH       ?= 128
AUGMENT     ?=
SEED        ?= 0
OUT         ?= out

include $(dir $(lastword $(MAKEFILE_LIST)))report.mk
words = -d $(TRAIN) --epochs $(EPOCHS) --lr $(LR) --schedule onecycle --batch $(BATCH) --seed $(SEED) $(if $(AUGMENT),--augment $(AUGMENT))

all: $(OUT)/report.tsv
$(OUT)/new.dsm: $(STUDENT) | $(OUT)
	ds-convert --seed $(SEED) $< -o $@
# the control: the same network, the same steps, labels alone
$(OUT)/alone.dsm: $(OUT)/new.dsm
	ds-train $(words) $< -o $@
$(OUT)/taught.dsm: $(OUT)/new.dsm $(TEACHER)
	ds-distill -t $(TEACHER) --method $(METHOD) --alpha $(ALPHA) --temperature $(TEMPERATURE) $(words) $< -o $@
$(OUT)/small.dsm: $(OUT)/taught.dsm
	ds-quantize --bits w8a8 -c $(TRAIN) $< -o $@
$(OUT)/report.tsv: $(TEACHER) $(OUT)/alone.dsm $(OUT)/taught.dsm $(OUT)/small.dsm
	$(call report,$^)
