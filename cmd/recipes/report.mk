# report.mk - what the recipes share: the folder of results, and a table of bytes and figures of several models
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all:

$(OUT):
	mkdir -p $@

# A row for each model: file, bytes, then every figure that ds-run --eval prints for TEST, as name=value.
define report
printf 'model\tbytes\tfigures\n' > $@
for m in $(1); do \
	figures=$$(ds-run -m $$m --eval -d $(TEST)) || exit; \
	printf '%s\n' "$$figures" | awk -F'\t' -v m="$$m" -v b="$$(wc -c < $$m)" 'NR > 1 { f = f (f ? " " : "") $$1 "=" $$2 } END { print m "\t" b "\t" f }' >> $@; \
done
cat $@
endef
