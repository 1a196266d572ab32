# fresh.sh - are manual pages, completions and lists what the option tables say?
exec sh test/docs.sh check
