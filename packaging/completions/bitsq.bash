# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for bitsq(1).

# Jobs in the states of $1 (comma-separated; none: all), as "ID<TAB>NAME". Pressing Tab starts no daemon.
_bitsq_jobs()
{
    bitsq daemon status >/dev/null 2>&1 || return
    bitsq list --json=lines ${1:+--state "$1"} 2>/dev/null | head -n 200 |
        sed -n 's/^{"schema":"bitsq.job\/1","id":\([0-9]*\),.*"name":"\(.*\)","owner":.*/\1\t\2/p'
}

# Several are shown with their names; a single one is inserted as the ID alone.
_bitsq_complete_jobs()
{
    local id name
    COMPREPLY=()
    while IFS=$'\t' read -r id name; do
        [[ $id == "$cur"* ]] && COMPREPLY+=("$id  $name")
    done < <(_bitsq_jobs "$1")
    if ((${#COMPREPLY[@]} == 1)); then
        COMPREPLY=("${COMPREPLY[0]%% *}")
    fi
}

# Groups that have settings. Pressing Tab starts no daemon.
_bitsq_complete_groups()
{
    local name names=default
    if bitsq daemon status >/dev/null 2>&1; then
        names=$(bitsq group list --json=lines 2>/dev/null | sed -n 's/^{"schema":"bitsq.group\/1","name":"\([^"\\]*\)".*/\1/p')
    fi
    COMPREPLY=()
    while IFS= read -r name; do
        [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done <<<"$names"
}

# Names of credentials: files, so that no daemon is asked.
_bitsq_complete_credentials()
{
    mapfile -t COMPREPLY < <(compgen -W "$(bitsq credential list --json=lines 2>/dev/null |
        sed -n 's/^{"schema":"bitsq.credential\/1","name":"\([^"]*\)".*/\1/p')" -- "$cur")
}

_bitsq()
{
    local cur prev words cword verb="" i options=""
    local common="--json --json=lines --color --help"
    local verbs="add list show why watch wait events pause resume cancel retry remove run set reply probe doctor stats group credential
        limit daemon version help"
    local states="queued blocked connecting transferring replying retrying paused cancelling done failed cancelled"

    local access="--auth --credential --netrc --cert --key-file --cacert --pinned-key --proxy --proxy-credential --noproxy
        --header-file --user-agent --method-override --protocol-guid --lenient-ack --restart-on-ambiguous --reply-strict
        --reply-other-host --at-most-once --credentials-over-http"

    COMPREPLY=()
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur prev words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    for ((i = 1; i < cword; i++)); do
        if [[ ${words[i]} != -* ]]; then
            verb=${words[i]}
            break
        fi
    done
    if [[ -z $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs --json --json=lines --help --version" -- "$cur")
        return
    fi

    case $prev in
        --state) mapfile -t COMPREPLY < <(compgen -W "$states" -- "$cur"); return ;;
        -g | --group) _bitsq_complete_groups; return ;;
        --color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur"); return ;;
        --for) mapfile -t COMPREPLY < <(compgen -W "done started" -- "$cur"); return ;;
        -p | --priority) mapfile -t COMPREPLY < <(compgen -W "foreground high normal low" -- "$cur"); return ;;
        --if-exists) mapfile -t COMPREPLY < <(compgen -W "keep replace fail" -- "$cur"); return ;;
        --network) mapfile -t COMPREPLY < <(compgen -W "any unmetered" -- "$cur"); return ;;
        --power) mapfile -t COMPREPLY < <(compgen -W "any ac 30%" -- "$cur"); return ;;
        --source-changed) mapfile -t COMPREPLY < <(compgen -W "fail restart" -- "$cur"); return ;;
        --ignore) mapfile -t COMPREPLY < <(compgen -W "time window network metered power group retry source credential" -- "$cur"); return ;;
        --empty) mapfile -t COMPREPLY < <(compgen -W "send refuse" -- "$cur"); return ;;
        --auth) mapfile -t COMPREPLY < <(compgen -W "basic digest ntlm negotiate bearer" -- "$cur"); return ;;
        --method-override) mapfile -t COMPREPLY < <(compgen -W "bits_post post post-only" -- "$cur"); return ;;
        --credential | --proxy-credential) _bitsq_complete_credentials; return ;;
        --from-file | --url-file | --cert | --key-file | --cacert | --header-file | --token-file | -o | --output) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -n | --name | --key | --rate | --not-before | --deadline | --window | --fragment-size | --retry-delay | --no-progress-timeout | --timeout | --proxy | \
            --pinned-key | --noproxy | --user-agent | --protocol-guid | --user | --hosts | --token-command) return ;;
    esac

    case $verb in
        add) options="--name --group --priority --reply --hold --wait --quiet --from-file --null --key --if-exists
            --rate --not-before --deadline --window --network --power --source-changed --on-success --on-failure
            --fragment-size --retry-delay --no-progress-timeout --url-file --empty --dry-run $access" ;;
        run) options="--ignore" ;;
        set) options="--state --group --all --quiet --yes --url-file" ;;
        reply) options="--output --quiet" ;;
        events) options="--since --follow" ;;
        probe) options="--url-file --timeout --quiet $access" ;;
        credential) options="--user --token --token-file --token-command --auth --hosts --quiet" ;;
        list | ls) options="--state --group --all" ;;
        doctor) options="--drop-quarantine --yes" ;;
        wait) options="--for --any --timeout --quiet" ;;
        pause | resume | retry) options="--state --group --all --quiet" ;;
        cancel | remove) options="--state --group --all --quiet --yes" ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$cur")
        return
    fi

    case $verb in
        add) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        set)
            _bitsq_complete_jobs queued,blocked,connecting,transferring,replying,retrying,paused,failed
            local keys="--priority --group --name --url --rate --not-before --deadline --window --network --power
                --source-changed --on-success --on-failure --retry-delay --no-progress-timeout --fragment-size $access"
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -S = -W "${keys//--/}" -- "$cur")
            [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace ;;
        reply) _bitsq_complete_jobs done,replying ;;
        credential)
            if [[ $prev == remove || $prev == set ]]; then
                _bitsq_complete_credentials
            else
                mapfile -t COMPREPLY < <(compgen -W "set list remove" -- "$cur")
            fi ;;
        group)
            if ((cword == i + 1)); then
                mapfile -t COMPREPLY < <(compgen -W "list set remove pause resume" -- "$cur")
            elif [[ ${words[i + 1]} == set ]] && ((cword > i + 2)); then
                mapfile -t COMPREPLY < <(compgen -S = -W "parallel rate window network power" -- "$cur")
                [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
            elif [[ ${words[i + 1]} != list ]]; then
                _bitsq_complete_groups
            fi ;;
        limit) mapfile -t COMPREPLY < <(compgen -W "off schedule 200K 500K 1M 2M 5M 10M" -- "$cur") ;;
        daemon) mapfile -t COMPREPLY < <(compgen -W "status start reload restart stop" -- "$cur") ;;
        help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur") ;;
        list | ls | show | why | run) _bitsq_complete_jobs "" ;;
        watch | wait) _bitsq_complete_jobs queued,blocked,connecting,transferring,replying,retrying,paused,cancelling ;;
        pause) _bitsq_complete_jobs queued,blocked,connecting,transferring,replying,retrying ;;
        resume) _bitsq_complete_jobs paused ;;
        cancel) _bitsq_complete_jobs queued,blocked,connecting,transferring,replying,retrying,paused,failed ;;
        retry) _bitsq_complete_jobs failed,retrying,cancelled ;;
        remove) _bitsq_complete_jobs done,failed,cancelled ;;
    esac
}
complete -F _bitsq bitsq
