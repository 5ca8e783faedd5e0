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

# Groups that have settings. Pressing Tab starts no daemon.
function __bitsq_groups
    if bitsq daemon status >/dev/null 2>&1
        bitsq group list --json=lines 2>/dev/null | sed -n 's/^{"schema":"bitsq.group\/1","name":"\([^"\\\\]*\)".*/\1/p'
    else
        echo default
    end
end

# Files, so that no daemon is asked.
function __bitsq_credentials
    bitsq credential list --json=lines 2>/dev/null |
        sed -n 's/^{"schema":"bitsq.credential\/1","name":"\([^"]*\)".*/\1/p'
end

# Whether word number $argv[1] that is no option, behind the command, is one of the others.
function __bitsq_word
    set -l words (string match -v -- '-*' (commandline -opc))
    test (count $words) -gt $argv[1]; and contains -- $words[(math $argv[1] + 1)] $argv[2..-1]
end

function __bitsq_verb
    __bitsq_word 1 $argv
end

set -l verbs add list ls show why watch wait events pause resume cancel retry remove run set reply probe doctor stats group credential limit daemon version help
set -l states queued blocked connecting transferring replying retrying paused cancelling done failed cancelled
set -l moving queued,blocked,connecting,transferring,replying,retrying

complete -c bitsq -f
complete -c bitsq -n "not __bitsq_verb $verbs" -a add -d 'queue uploads'
complete -c bitsq -n "not __bitsq_verb $verbs" -a list -d 'table of jobs'
complete -c bitsq -n "not __bitsq_verb $verbs" -a show -d 'everything about a job'
complete -c bitsq -n "not __bitsq_verb $verbs" -a why -d 'why a job waits'
complete -c bitsq -n "not __bitsq_verb $verbs" -a run -d 'try a job now, past what holds it back'
complete -c bitsq -n "not __bitsq_verb $verbs" -a watch -d 'live view'
complete -c bitsq -n "not __bitsq_verb $verbs" -a wait -d 'block until jobs are done'
complete -c bitsq -n "not __bitsq_verb $verbs" -a pause -d 'stop jobs for now'
complete -c bitsq -n "not __bitsq_verb $verbs" -a resume -d 'let paused jobs go on'
complete -c bitsq -n "not __bitsq_verb $verbs" -a cancel -d 'give uploads up'
complete -c bitsq -n "not __bitsq_verb $verbs" -a retry -d 'try failed jobs again'
complete -c bitsq -n "not __bitsq_verb $verbs" -a remove -d 'take finished jobs off the list'
complete -c bitsq -n "not __bitsq_verb $verbs" -a set -d 'change what jobs were added with'
complete -c bitsq -n "not __bitsq_verb $verbs" -a events -d 'what happened in the queue'
complete -c bitsq -n "not __bitsq_verb $verbs" -a reply -d 'the reply of the application behind the server'
complete -c bitsq -n "not __bitsq_verb $verbs" -a probe -d 'can this server take uploads'
complete -c bitsq -n "not __bitsq_verb $verbs" -a doctor -d 'what on this machine would stop a job'
complete -c bitsq -n "not __bitsq_verb $verbs" -a stats -d 'the queue by state, and what was done so far'
complete -c bitsq -n "not __bitsq_verb $verbs" -a group -d 'limits for sets of jobs'
complete -c bitsq -n "not __bitsq_verb $verbs" -a credential -d 'keep a password or a token'
complete -c bitsq -n "not __bitsq_verb $verbs" -a limit -d 'the rate of all jobs together: show it, or choose it'
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
complete -c bitsq -n '__bitsq_verb add' -l rate -x -d 'at most so many bytes a second'
complete -c bitsq -n '__bitsq_verb add' -l not-before -x -d 'wait until then'
complete -c bitsq -n '__bitsq_verb add' -l deadline -x -d 'what is not done by then has failed'
complete -c bitsq -n '__bitsq_verb add' -l window -x -d 'hours of the week'
complete -c bitsq -n '__bitsq_verb add' -l network -x -a 'any unmetered' -d 'which networks may be used'
complete -c bitsq -n '__bitsq_verb add' -l power -x -a 'any ac 30%' -d 'mains, or a charge that will do'
complete -c bitsq -n '__bitsq_verb add' -l source-changed -x -a 'fail restart' -d 'what if the file changes'
complete -c bitsq -n '__bitsq_verb add' -l on-success -x -d 'start this unit when it is done'
complete -c bitsq -n '__bitsq_verb add' -l on-failure -x -d 'start this unit when it has failed'
complete -c bitsq -n '__bitsq_verb run' -l ignore -x -a 'time window network metered power group retry source credential' -d 'past these gates alone'
complete -c bitsq -n '__bitsq_verb run why' -a "(__bitsq_jobs $moving,paused)"
complete -c bitsq -n '__bitsq_verb add' -l fragment-size -x -d 'bytes of one request, MIN:MAX'
complete -c bitsq -n '__bitsq_verb add' -l retry-delay -x -d 'first pause after an error'
complete -c bitsq -n '__bitsq_verb add' -l no-progress-timeout -x -d 'give up after so long'
complete -c bitsq -n '__bitsq_verb add' -l url-file -r -F -d 'read the URL from a file'
complete -c bitsq -n '__bitsq_verb add' -l dry-run -d 'check, queue nothing'
complete -c bitsq -n '__bitsq_verb add' -s g -l group -x -a '(__bitsq_groups)' -d 'group'
complete -c bitsq -n '__bitsq_verb add' -l reply -d 'fetch the reply, =FILE: into FILE'
complete -c bitsq -n '__bitsq_verb add' -l empty -x -a 'send refuse' -d 'what to do about an empty file'
complete -c bitsq -n '__bitsq_verb add probe' -l auth -x -a 'basic digest ntlm negotiate bearer' -d 'basic, digest, ntlm, negotiate or bearer'
complete -c bitsq -n '__bitsq_verb add probe' -l credential -x -a '(__bitsq_credentials)' -d 'user and password, or token: see bitsq credential'
complete -c bitsq -n '__bitsq_verb add probe' -l netrc -d 'user and password from ~/.netrc'
complete -c bitsq -n '__bitsq_verb add probe' -l cert -r -F -d 'the client\'s certificate, PEM'
complete -c bitsq -n '__bitsq_verb add probe' -l key-file -r -F -d 'the key of the client\'s certificate, PEM'
complete -c bitsq -n '__bitsq_verb add probe' -l cacert -r -F -d 'trust these issuers instead of the system\'s'
complete -c bitsq -n '__bitsq_verb add probe' -l pinned-key -x -d 'the server\'s public key: sha256//BASE64'
complete -c bitsq -n '__bitsq_verb add probe' -l proxy -x -d 'http://HOST:PORT, https://HOST:PORT, or none'
complete -c bitsq -n '__bitsq_verb add probe' -l proxy-credential -x -a '(__bitsq_credentials)' -d 'user and password for the proxy'
complete -c bitsq -n '__bitsq_verb add probe' -l noproxy -x -d 'go to these directly: host,.domain,10.0.0.0/8; * = all'
complete -c bitsq -n '__bitsq_verb add probe' -l header-file -r -F -d 'send the headers in FILE with every request'
complete -c bitsq -n '__bitsq_verb add probe' -l user-agent -x -d 'what the client calls itself'
complete -c bitsq -n '__bitsq_verb add probe' -l method-override -x -a 'bits_post post post-only' -d 'bits_post, post or post-only'
complete -c bitsq -n '__bitsq_verb add probe' -l protocol-guid -x -d 'what BITS-Supported-Protocols says'
complete -c bitsq -n '__bitsq_verb add probe' -l lenient-ack -d 'a success without BITS-Packet-Type is an Ack'
complete -c bitsq -n '__bitsq_verb add probe' -l restart-on-ambiguous -d 'after a fragment of unknown fate, begin anew'
complete -c bitsq -n '__bitsq_verb add probe' -l reply-strict -d 'a missing reply is an error'
complete -c bitsq -n '__bitsq_verb add probe' -l reply-other-host -d 'the reply may lie on another host'
complete -c bitsq -n '__bitsq_verb add probe' -l at-most-once -d 'never upload twice, also where the end is unclear'
complete -c bitsq -n '__bitsq_verb add probe' -l credentials-over-http -d 'send tokens also without TLS'

set -l settings priority group name url rate not-before deadline window network power source-changed on-success on-failure retry-delay no-progress-timeout fragment-size \
    auth credential netrc cert key-file cacert pinned-key \
    proxy proxy-credential noproxy header-file user-agent method-override protocol-guid \
    lenient-ack restart-on-ambiguous reply-strict reply-other-host at-most-once credentials-over-http
complete -c bitsq -n '__bitsq_verb set' -a "(printf '%s=\n' $settings)" -d 'setting'
complete -c bitsq -n '__bitsq_verb set' -a "(__bitsq_jobs $moving,paused,failed)"
complete -c bitsq -n '__bitsq_verb set probe' -l url-file -r -F -d 'read the URL from a file'
complete -c bitsq -n '__bitsq_verb events' -l since -x -d 'only what came after this number'
complete -c bitsq -n '__bitsq_verb events' -s f -l follow -d 'go on with what happens'
complete -c bitsq -n '__bitsq_verb reply' -a '(__bitsq_jobs done,replying)'
complete -c bitsq -n '__bitsq_verb reply' -s o -l output -r -F -d 'write it to a file'
complete -c bitsq -n '__bitsq_verb probe' -l timeout -x -d 'give up after so long'
complete -c bitsq -n '__bitsq_verb credential' -a 'set list remove'
complete -c bitsq -n '__bitsq_verb credential' -a '(__bitsq_credentials)'
complete -c bitsq -n '__bitsq_verb credential' -l user -x -d 'the user'
complete -c bitsq -n '__bitsq_verb credential' -l token -d 'a token from standard input'
complete -c bitsq -n '__bitsq_verb credential' -l token-file -r -F -d 'the token is in a file'
complete -c bitsq -n '__bitsq_verb credential' -l token-command -x -d 'prints the token'
complete -c bitsq -n '__bitsq_verb credential' -l auth -x -a 'basic digest ntlm negotiate bearer' -d 'scheme'
complete -c bitsq -n '__bitsq_verb credential' -l hosts -x -d 'which hosts may get it'

complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove set' -l state -x -a "$states" -d 'jobs in these states'
complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove set' -l group -x -a '(__bitsq_groups)' -d 'jobs of this group'
complete -c bitsq -n '__bitsq_verb list ls pause resume cancel retry remove set' -l all -d 'every job'
complete -c bitsq -n '__bitsq_verb doctor' -l drop-quarantine -d 'drop the records that could not be read'
complete -c bitsq -n '__bitsq_verb cancel remove set doctor' -s y -l yes -d 'do not ask'
complete -c bitsq -n '__bitsq_verb add wait pause resume cancel retry remove set reply probe credential' -s q -l quiet -d 'no hints'
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
complete -c bitsq -n '__bitsq_verb group; and not __bitsq_word 2 list set remove pause resume' -a 'list set remove pause resume'
complete -c bitsq -n '__bitsq_verb group; and __bitsq_word 2 set remove pause resume' -a '(__bitsq_groups)'
complete -c bitsq -n '__bitsq_verb group; and __bitsq_word 2 set' -a "(printf '%s=\n' parallel rate window network power)" -d 'setting'
complete -c bitsq -n '__bitsq_verb limit' -a 'off schedule 200K 500K 1M 2M 5M 10M'
complete -c bitsq -n '__bitsq_verb daemon' -a 'status start reload restart stop'
complete -c bitsq -n '__bitsq_verb help' -a "$verbs"
