# Turns schema/NNN-*.sql into C: each file as an element of schema_migrations[], and all of them as schema_text[].
BEGIN {
    print "/* Made from schema/ by embed.awk. */"
    print "#include \"schema.h\""
    print "const char *const schema_migrations[] = {"
}
FNR == 1 { if (NR > 1) print "    ,"; print "    /* " FILENAME " */" }
{
    gsub(/\\/, "&&"); gsub(/"/, "\\\"")
    line[NR] = "    \"" $0 "\\n\""
    print line[NR]
}
END {
    print "    , 0};"
    print "const char schema_text[] ="
    for (i = 1; i <= NR; i++) print line[i]
    print "    ;"
}
