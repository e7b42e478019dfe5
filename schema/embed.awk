# Turns schema/NNN-*.sql into C: const char *const schema_migrations[], NULL at the end.
BEGIN { print "/* Made from schema/ by embed.awk. */"; print "#include \"schema.h\""; print "const char *const schema_migrations[] = {" }
FNR == 1 { if (NR > 1) print "    ,"; print "    /* " FILENAME " */" }
{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); print "    \"" $0 "\\n\"" }
END { print "    , 0};" }
