# Sets $python to a Python >= 3.11, or says what is missing. Sourced by the other scripts; needs only POSIX sh.
python=
for candidate in ${GATEHOUSE_PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -I -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (4,)))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$(python3 -V 2>/dev/null || echo "no python3")
    echo "python.version: no usable Python (got $found, expected Python 3.11 or newer)" >&2
    echo "  fix: install Python 3.11 or newer (Debian and Ubuntu: \`apt-get install python3 python3-venv\`)" >&2
    exit 2
fi
