# Sourced by the other scripts: prepares .venv with a Python that is new enough, and finds Chromium.
# shellcheck shell=bash
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
VENV="$ROOT/.venv"
PY="$VENV/bin/python"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_REQUIRE_VIRTUALENV=0 PYTHONUNBUFFERED=1
unset PYTHONHOME PYTHONPATH PIP_USER VIRTUAL_ENV

step() {
  if [ -t 1 ]; then printf '\n\033[1m» %s\033[0m\n' "$*"; else printf '\n» %s\n' "$*"; fi
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# A shim or a link proves nothing: each candidate has to run, be 3.12 or newer and able to make a venv with pip.
is_usable() {
  "$1" -c 'import sys, sysconfig, venv, ensurepip
sys.exit(sys.version_info < (3, 12) or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))' </dev/null >/dev/null 2>&1
}

candidates() {
  local home="${HOME:-/root}" minor
  [ -z "${PYTHON:-}" ] || echo "$PYTHON"
  for minor in 3.13 3.12; do
    echo "python$minor"
    printf '%s\n' \
      "${PYENV_ROOT:-$home/.pyenv}/versions/$minor"*/bin/python \
      {"$home/.pyenv",/opt/pyenv,/usr/local/pyenv}/versions/$minor*/bin/python \
      "${UV_PYTHON_INSTALL_DIR:-$home/.local/share/uv/python}"/cpython-$minor*/bin/python$minor \
      {/usr/local,/opt/homebrew,"/opt/python$minor","$home/.local",/opt/conda,"$home/miniconda3"}/bin/python$minor \
      "/Library/Frameworks/Python.framework/Versions/$minor/bin/python$minor"
  done
  printf '%s\n' python3 python
}

# `python -m venv` copies the name it was called by, and a pyenv shim would be that name: ask for the real file.
find_python() {
  local candidate
  while read -r candidate; do
    if is_usable "$candidate"; then
      "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
      return
    fi
  done < <(candidates)
  return 1
}

# prepare_venv GROUP...: installs the project with these dependency groups, unless that was done for this pyproject.toml.
prepare_venv() {
  local stamp groups=() group missing=0 python
  stamp="$(cksum <pyproject.toml)"
  for group in "$@"; do
    groups+=(--group "$group")
    [ "$(cat "$VENV/.ready-$group" 2>/dev/null)" = "$stamp" ] || missing=1
  done
  if [ "$missing" = 0 ] && is_usable "$PY"; then return; fi

  if ! is_usable "$PY" || ! "$PY" -m pip --version >/dev/null 2>&1; then
    python="$(find_python)" || die "fastapi-hmr needs Python 3.12 or newer, with venv, and none was found.
Install one (pyenv install 3.13, uv python install 3.13, or your system's package) or name it: PYTHON=/path/to/python3.13 $0"
    step "Making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$VENV"
  fi
  step "Installing the project and its $* dependencies (a minute or two the first time)"
  {
    "$PY" -m pip install --upgrade 'pip>=25.1' && "$PY" -m pip install --progress-bar off -e '.[all]' "${groups[@]}"
  } 2>&1 </dev/null | tee "$VENV/install.log" | show_packages || {
    tail -n 30 "$VENV/install.log" >&2
    die "pip could not install the dependencies; what it said is above. Is a package registry reachable?"
  }
  for group in "$@"; do echo "$stamp" >"$VENV/.ready-$group"; done
}

# pip's hundreds of lines as a running list of names.
show_packages() {
  awk '/^ *Collecting / { sub(/[^A-Za-z0-9._-].*/, "", $2); printf "  %s", $2; if (++n % 9 == 0) print ""; fflush() }
       /^Installing collected/ { print (n % 9 ? "\n" : "") "  unpacking ..."; n = 0; fflush() }
       END { if (n % 9) print "" }'
}

find_chromium() {
  local candidate
  for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
    # Ubuntu's chromium is a stub that asks for a snap: believe only one that runs.
    if [ -n "$candidate" ] && "$candidate" --version </dev/null >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# Exports CHROMIUM, installing it where that is one command of the system's own.
prepare_chromium() {
  local as_root=(env)
  if ! CHROMIUM="$(find_chromium)"; then
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
      step "Installing Chromium (apt-get install chromium; about a minute)"
      "${as_root[@]}" apt-get update -qq </dev/null || true
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium \
        </dev/null >/dev/null || true
    fi
    CHROMIUM="$(find_chromium)" || die "the browser tests need Chromium, and it could not be installed from here: \
install it (Debian: apt-get install chromium), or set CHROMIUM=/path/to/chrome, and run $0 again"
  fi
  export CHROMIUM
}
