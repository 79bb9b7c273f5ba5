set -uo pipefail
umask 022
export LC_ALL=C
failed=0
spellings=0
part='' # where an unfinished download is kept for the next run
work='' # the same file while this run writes to it

say() { printf '%s\n' "$*"; }
complain() { printf 'error: %s\n' "$*" >&2; }

stop() { # exit code
  keep_part
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM HUP

need() { # command
  command -v "$1" >/dev/null || { complain "$1 is needed and not installed"; exit 2; }
}

check_curl() { # before 7.58, curl sent a key to whatever host a redirect led to
  local told
  told=$(curl -q --version) || exit 2
  if [[ $told =~ ^curl\ ([0-9]+)\.([0-9]+) ]]; then
    if ((BASH_REMATCH[1] > 7 || (BASH_REMATCH[1] == 7 && BASH_REMATCH[2] >= 58))); then return; fi
  fi
  complain 'curl 7.58 or newer is needed'
  exit 2
}

usable_key() { # name of a variable
  local key=${!1:-}
  key=${key//[[:space:]]/}
  case $key in
    *[!A-Za-z0-9._~+/=-]*) complain "$1 holds a character that no key has"; exit 2 ;;
  esac
  printf '%s' "$key"
}

curl_config() { # address: prints the key's header where the address is on the key's own host
  local key=''
  case $1 in
    "$civitai"/*) key=$civitai_key ;;
    "$huggingface"/*) key=$huggingface_key ;;
  esac
  [ -z "$key" ] || printf 'header = "Authorization: Bearer %s"\n' "$key"
}

size_of() { # file
  local count
  if [ -f "$1" ]; then count=$(wc -c <"$1"); else count=0; fi
  printf '%s' "$((count))"
}

digest_of() { # algorithm file
  local found
  case $1 in
    blake3) found=$(b3sum <"$2") ;;
    *) if command -v sha256sum >/dev/null; then found=$(sha256sum <"$2"); else found=$(shasum -a 256 <"$2"); fi ;;
  esac || return 1
  printf '%s' "${found%% *}"
}

is_right() { # file size algorithm digest; an empty size is not known
  [ -f "$1" ] || return 1
  [ -z "$2" ] || [ "$(size_of "$1")" -eq "$2" ] || return 1
  [ "$(digest_of "$3" "$1")" = "$4" ]
}

keep_part() {
  if [ -n "$work" ] && [ -s "$work" ]; then mv -f -- "$work" "$part"; elif [ -n "$work" ]; then rm -f -- "$work"; fi
  work=''
}

place() { # target: gives the finished file its name, unless something has taken it
  sync -- "$work" 2>/dev/null || sync
  if [ -e "$1" ] || [ -L "$1" ]; then return 1; fi
  ln -- "$work" "$1" 2>/dev/null || mv -n -- "$work" "$1"
  [ -f "$1" ] || return 1
  rm -f -- "$work"
  work=''
}

request() { # address size: downloads to $work from where it ends; prints the status and the hops
  (
    # Some versions of curl write more than they are allowed to; the system does not let them.
    if [ -n "$2" ]; then ulimit -f "$(($2 / 1024 + 1))" 2>/dev/null; ulimit -c 0; fi
    curl_config "$1" | curl -q --config - --globoff --fail "${progress[@]}" \
      --location --max-redirs 5 --proto "=$protocols" --proto-redir "=$protocols" \
      --connect-timeout 30 --speed-limit 1024 --speed-time "$stall" \
      ${2:+--max-filesize "$2"} --user-agent comfylock-export --header 'Accept-Encoding: identity' \
      --continue-at - --output "$work" --write-out '%{http_code} %{num_redirects}' --url "$1"
  )
}

download() { # target size algorithm digest address
  local try=0 wrong=0 answer code status hops have
  while ((try < 5)); do
    try=$((try + 1))
    code=0
    if [ -n "$2" ] && [ "$(size_of "$work")" -eq "$2" ]; then
      answer='200 0' # an earlier run got all of it
    else
      answer=$(request "$5" "$2") || code=$?
    fi
    status=${answer%% *}
    hops=${answer##* }
    have=$(size_of "$work")
    if { [ -n "$2" ] && [ "$have" -eq "$2" ]; } || { [ -z "$2" ] && [ "$code" -eq 0 ]; }; then
      if is_right "$work" "$2" "$3" "$4"; then return 0; fi
      rm -f -- "$work"
      wrong=$((wrong + 1))
      if ((wrong > 1)); then complain "$1: $5 gives another file than the lock says"; return 1; fi
      continue
    fi
    case $code in
      0 | 33 | 36 | 63 | 153) # too short, too long, or not from where we were
        rm -f -- "$work"
        wrong=$((wrong + 1))
        if ((wrong > 2)); then complain "$1: $5 gives a file of another size"; return 1; fi
        continue
        ;;
      22)
        case $status in
          401) complain "$1: ${5%%\?*} needs a key: set CIVITAI_TOKEN or HF_TOKEN"; return 1 ;;
          403) if ((hops == 0)); then complain "$1: ${5%%\?*} is not for you (403)"; return 1; fi ;;
          404 | 410 | 451) complain "$1: ${5%%\?*} is gone ($status)"; return 1 ;;
          416) rm -f -- "$work" ;;
        esac
        ;;
      1 | 3 | 47) complain "$1: ${5%%\?*} leads to where nothing is fetched from"; return 1 ;;
      23) complain "$1: cannot be written; is the disk full?"; return 1 ;;
    esac
    sleep "$((try * 2))"
  done
  complain "$1: ${5%%\?*} could not be reached or broke off $try times (curl $code, status $status)"
  return 1
}

fill() { # target size algorithm digest source...: brings the right bytes to $work
  local target=$1 size=$2 algorithm=$3 digest=$4 source
  shift 4
  for source in "$@"; do
    case $source in
      ./*) # the same content under another name
        if is_right "$source" "$size" "$algorithm" "$digest"; then
          rm -f -- "$work"
          if ln -- "$source" "$work" 2>/dev/null || cp -- "$source" "$work"; then return 0; fi
        fi
        ;;
      *) if download "$target" "$size" "$algorithm" "$digest" "$source"; then return 0; fi ;;
    esac
  done
  return 1
}

model() { # target size algorithm digest source...
  local target=$1 folder
  if [ "$3" = blake3 ] && ! command -v b3sum >/dev/null; then
    complain "$1: only its BLAKE3 is known, and b3sum, which checks it, is not installed"
    failed=$((failed + 1))
    return
  fi
  if [ -e "$1" ] || [ -L "$1" ]; then
    if is_right "$1" "$2" "$3" "$4"; then say "= $1"; return; fi
    complain "$1: something else is there; it is left alone"
    failed=$((failed + 1))
    return
  fi
  folder=$(dirname -- "$1")
  part=$folder/.$4.part
  work=$folder/.$4.$$.tmp
  # What an earlier run left is claimed by a rename: two runs never write to one file.
  if mkdir -p -- "$folder" && { mv -- "$part" "$work" 2>/dev/null || :; } && fill "$@"; then
    if place "$target"; then say "+ $target"; return; fi
    complain "$target: something has taken its place"
  fi
  keep_part
  failed=$((failed + 1))
}

spelling() { # link model folder: a name with \ that workflows use, where that may be a name
  case ${OSTYPE:-} in msys* | cygwin*) return ;; esac
  [ -f "$3/$2" ] || return 0 # what it lacks has been told
  if [ "$1" -ef "$3/$2" ]; then return; fi
  if [ ! -e "$1" ] && [ ! -L "$1" ] && ln -s -- "$2" "$1"; then say "= $1"; return; fi
  complain "$1: something else is there; it is left alone"
  spellings=$((spellings + 1))
}

need curl
command -v sha256sum >/dev/null || need shasum
check_curl
civitai_key=$(usable_key CIVITAI_TOKEN) || exit 2
huggingface_key=$(usable_key HF_TOKEN) || exit 2
if [ -t 2 ]; then progress=(--progress-bar); else progress=(--silent --show-error); fi
models=${1:-.}
case $models in /*) ;; *) models=./$models ;; esac
cd -- "$models" || exit 2
