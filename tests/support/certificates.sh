# certificates.sh — certificates for tests, made on the spot, in the working directory. Sourced after tap.sh.
# shellcheck shell=bash

# certificate NAME HOST [ARGUMENT…]: self-signed, NAME.pem and NAME.key.
certificate() {
    local name=$1 host=$2
    shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -out "$name.pem" \
        -subj "/CN=$host" -addext "subjectAltName=DNS:$host" "$@" 2>/dev/null
}

# expired_certificate NAME HOST: self-signed too, and over since 2020.
expired_certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
        -subj "/CN=$2" 2>/dev/null
    printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s\nserial=%s\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n' \
        "$1.index" "$1.serial" >"$1.cnf"
    printf 'x509_extensions=x\n[p]\ncommonName=supplied\n[x]\nbasicConstraints=CA:TRUE\nsubjectAltName=DNS:%s\n' "$2" >>"$1.cnf"
    : >"$1.index"
    echo 01 >"$1.serial"
    openssl ca -config "$1.cnf" -batch -selfsign -keyfile "$1.key" -in "$1.csr" -out "$1.pem" -notext \
        -startdate 20200101000000Z -enddate 20200201000000Z 2>/dev/null
}
