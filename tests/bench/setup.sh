# SPDX-License-Identifier: Apache-2.0
# Sourced by the commands of this directory, with source_dir set: what they need
# is what tests/run has installed and built.
work=${HOOKBRIDGE_TESTS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hookbridge/tests}
build=${HOOKBRIDGE_BUILD:-$work/build-plain}
for needed in "$work/venv/bin/python" "$work/kafka-jars" "$build/Makefile"; do
	[ -e "$needed" ] || {
		echo "bench: $needed is missing; first: sh tests/run --quick" >&2
		exit 69
	}
done

# need PROGRAM PACKAGE
need() {
	[ -x "$(PATH=$PATH:/usr/sbin command -v "$1")" ] || {
		echo "bench: $1 is missing: apt-get install $2" >&2
		exit 69
	}
}

# start SCRIPT ARGUMENT...: instead of this shell.
start() {
	make -s -C "$build" hookbridged tests/bench/load tests/bench/floor \
		tests/bench/direct tests/rig/kafka_mock >&2
	ulimit -n "$(ulimit -H -n)"
	script=$1
	shift
	# As Kafka's own scripts would start it; the tests' broker is content
	# with less, and slower.
	KAFKA_HEAP_OPTS='-Xms1g -Xmx1g'
	KAFKA_JVM_PERFORMANCE_OPTS='-XX:+UseG1GC -XX:MaxGCPauseMillis=20'
	export KAFKA_HEAP_OPTS KAFKA_JVM_PERFORMANCE_OPTS
	LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
		HB_KAFKA="$work/kafka-jars" HB_DAEMON="$build/hookbridged" \
		HB_LOAD="$build/tests/bench/load" \
		HB_FLOOR="$build/tests/bench/floor" \
		HB_DIRECT="$build/tests/bench/direct" \
		HB_KAFKA_MOCK="$build/tests/rig/kafka_mock" \
		exec "$work/venv/bin/python" "$source_dir/tests/bench/$script" "$@"
}
