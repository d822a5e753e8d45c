# Shared by the scripts beside this file: packages, build settings, messages. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Debian packages that the program is built with and runs on.
build_packages=(
  g++ cmake ninja-build ca-certificates
  libtorch-dev libgloo-dev libopenblas0-pthread libdnnl-dev ocl-icd-opencl-dev
  libonnx-dev libprotobuf-dev protobuf-compiler
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libcpp-httplib-dev
  libcurl4-openssl-dev libarchive-dev libssl-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev
  dataset-fashion-mnist
)
# What the tests, benchmarks and checks need besides.
test_packages=(
  libgtest-dev libgmock-dev libbenchmark-dev pkg-config libonnx-testdata chromium
  clang clang-format clang-tidy libclang-rt-14-dev libomp-dev zsh fish groff
)

say() { printf '\n== %s\n' "$*"; }

# step TITLE COMMAND...: runs a command that talks much, a function too, with one line on the terminal. What it prints
# goes to build/logs; its last 20 lines are shown where it fails, and the script ends.
step() {
  local title=$1 log status=0 start=$SECONDS
  shift
  log=build/logs/$(tr -cs 'a-zA-Z0-9\n' - <<<"$title").log
  mkdir -p build/logs
  printf '== %s (%s) ... ' "$title" "$log"
  # Not `if "$@"`: within a condition a failing command of a function would not end it.
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ $status -ne 0 ]; then
    printf 'failed\n'
    tail -n 20 "$log" >&2
    printf '== %s: failed with exit code %s; all of it is in %s\n' "$title" "$status" "$log" >&2
    exit "$status"
  fi
  printf '%d s\n' $((SECONDS - start))
}

# Installs the packages that are not there yet; touches nothing when none is missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  step "Installing ${#missing[@]} Debian packages" apt_install "${missing[@]}"
}

apt_install() {
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# A LibTorch source file takes up to 2 GB to compile, so memory may allow fewer jobs than there are cores.
build_jobs() {
  local cores memory_gb
  cores=$(nproc)
  memory_gb=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  local jobs=$((memory_gb / 2 < cores ? memory_gb / 2 : cores))
  echo $((jobs > 1 ? jobs : 1))
}

if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
