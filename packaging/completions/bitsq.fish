# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for bitsq(1).

# Jobs in the states of $argv (comma-separated; none: all), as "ID<TAB>NAME". Pressing Tab starts no daemon.
function __bitsq_jobs
    bitsq daemon status >/dev/null 2>&1; or return
    set -l state
    test (count $argv) -gt 0; and set state --state $argv[1]
    bitsq list --json=lines $state 2>/dev/null | head -n 200 |
        sed -n 's/^{"schema":"bitsq.job\/1","id":\([0-9]*\),.*"name":"\(.*\)","owner":.*/\1\t\2/p'
end

function __bitsq_verb
    __fish_seen_subcommand_from $argv
end

set -l verbs add list ls show watch wait pause resume cancel retry remove daemon version help
set -l states queued blocked connecting transferring retrying paused cancelling done failed cancelled
set -l moving queued,blocked,connecting,transferring,retrying

complete -c bitsq -f
complete -c bitsq -n "not __bitsq_verb $verbs" -a add -d 'queue uploads'
complete -c bitsq -n "not __bitsq_verb $verbs" -a list -d 'table of jobs'
complete -c bitsq -n "not __bitsq_verb $verbs" -a show -d 'everything about a job'
complete -c bitsq -n "not __bitsq_verb $verbs" -a watch -d 'live view'
complete -c bitsq -n "not __bitsq_verb $verbs" -a wait -d 'block until jobs are done'
complete -c bitsq -n "not __bitsq_verb $verbs" -a pause -d 'stop jobs for now'
complete -c bitsq -n "not __bitsq_verb $verbs" -a resume -d 'let paused jobs go on'
complete -c bitsq -n "not __bitsq_verb $verbs" -a cancel -d 'give uploads up'
complete -c bitsq -n "not __bitsq_verb $verbs" -a retry -d 'try failed jobs again'
complete -c bitsq -n "not __bitsq_verb $verbs" -a remove -d 'take finished jobs off the list'
complete -c bitsq -n "not __bitsq_verb $verbs" -a daemon -d 'look at the daemon, or steer it'
complete -c bitsq -n "not __bitsq_verb $verbs" -a version -d 'print the version'
complete -c bitsq -n "not __bitsq_verb $verbs" -a help -d 'show help'
complete -c bitsq -n "not __bitsq_verb $verbs" -l version -d 'print the version'

complete -c bitsq -l json -d 'print JSON; =lines: one object a line'
complete -c bitsq -l color -x -a 'auto always never' -d 'when to use colour'
complete -c bitsq -s h -l help -d 'show help'

complete -c bitsq -n '__bitsq_verb add' -F
complete -c bitsq -n '__bitsq_verb add' -s n -l name -x -d 'what lists call the job'
complete -c bitsq -n '__bitsq_verb add' -s p -l priority -x -a 'foreground high normal low' -d 'priority'
complete -c bitsq -n '__bitsq_verb add' -l hold -d 'queue it paused'
complete -c bitsq -n '__bitsq_verb add' -s w -l wait -d 'return when all is done'
complete -c bitsq -n '__bitsq_verb add' -l from-file -r -F -d 'files from a list'
complete -c bitsq -n '__bitsq_verb add' -s 0 -l null -d 'entries end with NUL'
complete -c bitsq -n '__bitsq_verb add' -l key -x -d 'a name that makes adding twice safe'
complete -c bitsq -n '__bitsq_verb add' -l if-exists -x -a 'keep replace fail' -d 'what if the key is there'
complete -c bitsq -n '__bitsq_verb add' -l fragment-size -x -d 'bytes of one request, MIN:MAX'
complete -c bitsq -n '__bitsq_verb add' -l retry-delay -x -d 'first pause after an error'
complete -c bitsq -n '__bitsq_verb add' -l no-progress-timeout -x -d 'give up after so long'
complete -c bitsq -n '__bitsq_verb add' -l url-file -r -F -d 'read the URL from a file'
complete -c bitsq -n '__bitsq_verb add' -l dry-run -d 'check, queue nothing'

complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove' -l state -x -a "$states" -d 'jobs in these states'
complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove' -l group -x -a default -d 'jobs of this group'
complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove' -l all -d 'every job'
complete -c bitsq -n '__bitsq_verb cancel remove' -s y -l yes -d 'do not ask'
complete -c bitsq -n '__bitsq_verb add wait pause resume cancel retry remove' -s q -l quiet -d 'no hints'
complete -c bitsq -n '__bitsq_verb wait' -l for -x -a 'done started' -d 'until when'
complete -c bitsq -n '__bitsq_verb wait' -l any -d 'one of several is enough'
complete -c bitsq -n '__bitsq_verb wait' -l timeout -x -d 'give up after so long'

complete -c bitsq -n '__bitsq_verb list ls show' -a '(__bitsq_jobs)'
complete -c bitsq -n '__bitsq_verb watch wait' -a "(__bitsq_jobs $moving,paused,cancelling)"
complete -c bitsq -n '__bitsq_verb pause' -a "(__bitsq_jobs $moving)"
complete -c bitsq -n '__bitsq_verb resume' -a '(__bitsq_jobs paused)'
complete -c bitsq -n '__bitsq_verb cancel' -a "(__bitsq_jobs $moving,paused,failed)"
complete -c bitsq -n '__bitsq_verb retry' -a '(__bitsq_jobs failed,retrying,cancelled)'
complete -c bitsq -n '__bitsq_verb remove' -a '(__bitsq_jobs done,failed,cancelled)'
complete -c bitsq -n '__bitsq_verb daemon' -a 'status start reload restart stop'
complete -c bitsq -n '__bitsq_verb help' -a "$verbs"
