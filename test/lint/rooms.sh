# rooms.sh - does every file of lib/ include only what lib/ROOMS allows its room?
find lib -name '*.[ch]' | sort | xargs awk '
	FNR == 1 { split(FILENAME, part, "/"); room = part[3] == "" ? "" : part[2] }
	BEGIN {
		while ((getline line < "lib/ROOMS") > 0) {
			if (line ~ /^#/ || split(line, col, "|") < 3) continue
			gsub(/ /, "", col[1]); known[col[1]] = 1
			n = split(col[3], may, " ")
			for (i = 1; i <= n; i++) allowed[col[1], may[i]] = 1
		}
		close("lib/ROOMS")
	}
	room != "" && !(room in known) && !(room in told) { told[room]; bad++; print "not ok rooms: lib/" room " is not in lib/ROOMS" }
	/^[ \t]*#[ \t]*include[ \t]*"/ && room != "" {
		match($0, /"[^"]*"/); path = substr($0, RSTART + 1, RLENGTH - 2)
		dir = FILENAME; sub(/\/[^\/]*$/, "", dir)
		full = dir "/" path
		while (sub(/[^\/.][^\/]*\/\.\.\//, "", full)) ;
		if (split(full, to, "/") < 3) next                      # lib/ds.h is open to all
		if (to[1] != "lib" || !(to[2] in known)) next           # a header of this folder, or generated
		if (to[2] != room && !((room, to[2]) in allowed)) { bad++; print "not ok rooms: " FILENAME ":" FNR ": " room " may not include " to[2] }
	}
	END { if (!bad) print "ok rooms"; exit bad > 0 }'
