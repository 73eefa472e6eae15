/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_sinks.c - what each type of sink says of its own settings, at the
 * place in the file that they stand at */
#include "cfg_rig.h"

/* clang-format off */

static const struct cfg_case bad_brokers[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: [k1, \"k2:9092\", \"k3:0\", \"k4:65536\", \":9092\", "
	 "\"k 5:9092\"]\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "6:15: sinks.s.brokers[0]: expected host:port, got \"k1\"\n"
	    "    a port is missing: \"kafka1:9092\"\n"
	    "6:30: sinks.s.brokers[2]: expected host:port, got "
	    "\"k3:0\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:38: sinks.s.brokers[3]: expected host:port, got "
	    "\"k4:65536\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:50: sinks.s.brokers[4]: expected host:port, got "
	    "\":9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:59: sinks.s.brokers[5]: expected host:port, got \"k "
	    "5:9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "5 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: [\"[::1]:9092\", \"[::g]:9092\", \"::1:9092\", "
	 "\"SSL://k:9092\", \"k:9092,l:9092\"]\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "6:29: sinks.s.brokers[1]: expected host:port, got "
	    "\"[::g]:9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:43: sinks.s.brokers[2]: expected host:port, got "
	    "\"::1:9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:55: sinks.s.brokers[3]: expected host:port, got "
	    "\"SSL://k:9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "6:71: sinks.s.brokers[4]: expected host:port, got "
	    "\"k:9092,l:9092\"\n"
	    "    such as \"kafka1:9092\" or \"[::1]:9092\"\n"
	    "4 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: []\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "6:14: sinks.s.brokers: expected at least one host:port, got "
	    "none\n"
	    "1 error\n"},
};

static const struct cfg_case refused_properties[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      acks: 1\n"
	 "      request.required.acks: -1\n"
	 "      message.timeout.ms: 5000\n"
	 "      delivery.timeout.ms: 5000\n"
	 "      transactional.id: x\n"
	 "      bootstrap.servers: \"k:1\"\n"
	 "      metadata.broker.list: \"k:1\"\n"
	 "      delivery.report.only.error: true\n"
	 "      enable.gapless.guarantee: true\n"
	 "      queue.buffering.max.messages: 1\n"
	 "      queue.buffering.max.kbytes: 1\n"
	 "      queue.buffering.max.ms: 5\n"
	 "      queue.buffering.backpressure.threshold: 1\n"
	 "      log.queue: true\n"
	 "      statistics.interval.ms: 1000\n"
	 "      test.mock.num.brokers: 3\n"
	 "      plugin.library.paths: x\n"
	 "      ssl.engine.location: x\n"
	 "      ssl.engine.id: x\n"
	 "      sasl.kerberos.kinit.cmd: x\n"
	 "      dr_msg_cb: x\n"
	 "      error_cb: x\n"
	 "      debug: all\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:13: sinks.s.properties.acks: acks cannot be set: "
	    "confirmed means all in-sync replicas; how many those must "
	    "be is the topic's min.insync.replicas\n"
	    "9:30: sinks.s.properties.request.required.acks: "
	    "request.required.acks cannot be set: confirmed means all "
	    "in-sync replicas\n"
	    "10:27: sinks.s.properties.message.timeout.ms: "
	    "message.timeout.ms cannot be set: it follows from "
	    "delivery.ack_timeout\n"
	    "11:28: sinks.s.properties.delivery.timeout.ms: "
	    "delivery.timeout.ms cannot be set: it follows from "
	    "delivery.ack_timeout\n"
	    "12:25: sinks.s.properties.transactional.id: "
	    "transactional.id cannot be set: transactions are not "
	    "supported\n"
	    "13:26: sinks.s.properties.bootstrap.servers: "
	    "bootstrap.servers cannot be set: list them under brokers\n"
	    "14:29: sinks.s.properties.metadata.broker.list: "
	    "metadata.broker.list cannot be set: list them under "
	    "brokers\n"
	    "15:35: sinks.s.properties.delivery.report.only.error: "
	    "delivery.report.only.error cannot be set: every delivery "
	    "needs its report\n"
	    "16:33: sinks.s.properties.enable.gapless.guarantee: "
	    "enable.gapless.guarantee cannot be set: one lost message "
	    "would stop the sink\n"
	    "17:37: sinks.s.properties.queue.buffering.max.messages: "
	    "queue.buffering.max.messages cannot be set: the queue's "
	    "limits follow from memory\n"
	    "18:35: sinks.s.properties.queue.buffering.max.kbytes: "
	    "queue.buffering.max.kbytes cannot be set: the queue's "
	    "limits follow from memory\n"
	    "19:31: sinks.s.properties.queue.buffering.max.ms: "
	    "queue.buffering.max.ms cannot be set: call it linger.ms\n"
	    "20:47: "
	    "sinks.s.properties.queue.buffering.backpressure.threshold: "
	    "queue.buffering.backpressure.threshold cannot be set: the "
	    "queue's limits follow from memory\n"
	    "21:18: sinks.s.properties.log.queue: log.queue cannot be "
	    "set: log lines are taken from librdkafka's queue\n"
	    "22:31: sinks.s.properties.statistics.interval.ms: "
	    "statistics.interval.ms cannot be set: statistics are not "
	    "read\n"
	    "23:30: sinks.s.properties.test.mock.num.brokers: "
	    "test.mock.num.brokers cannot be set: it replaces the "
	    "brokers by simulated ones\n"
	    "24:29: sinks.s.properties.plugin.library.paths: "
	    "plugin.library.paths cannot be set: it loads foreign code\n"
	    "25:28: sinks.s.properties.ssl.engine.location: "
	    "ssl.engine.location cannot be set: it loads foreign code\n"
	    "26:22: sinks.s.properties.ssl.engine.id: ssl.engine.id "
	    "cannot be set: it loads foreign code\n"
	    "27:32: sinks.s.properties.sasl.kerberos.kinit.cmd: "
	    "sasl.kerberos.kinit.cmd cannot be set: it runs a shell\n"
	    "28:18: sinks.s.properties.dr_msg_cb: dr_msg_cb cannot be "
	    "set: callbacks cannot be configured\n"
	    "29:17: sinks.s.properties.error_cb: error_cb cannot be set: "
	    "callbacks cannot be configured\n"
	    "30:14: sinks.s.properties.debug: debug cannot be set: it "
	    "may write secrets to the log\n"
	    "23 errors\n"},
};

static const struct cfg_case secret_properties[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      sasl.password: hunter2\n"
	 "      ssl.key.password: hunter2\n"
	 "      ssl.keystore.password: hunter2\n"
	 "      ssl.key.pem: hunter2\n"
	 "      sasl.oauthbearer.config: hunter2\n"
	 "      sasl.oauthbearer.client.secret: hunter2\n"
	 "      sasl.jaas.config: hunter2\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:22: sinks.s.properties.sasl.password: sasl.password is a "
	    "secret: give it as \"file:PATH\" or \"env:NAME\"\n"
	    "9:25: sinks.s.properties.ssl.key.password: ssl.key.password "
	    "is a secret: give it as \"file:PATH\" or \"env:NAME\"\n"
	    "10:30: sinks.s.properties.ssl.keystore.password: "
	    "ssl.keystore.password is a secret: give it as \"file:PATH\" "
	    "or \"env:NAME\"\n"
	    "11:20: sinks.s.properties.ssl.key.pem: ssl.key.pem is a "
	    "secret: give it as \"file:PATH\" or \"env:NAME\"\n"
	    "12:32: sinks.s.properties.sasl.oauthbearer.config: "
	    "sasl.oauthbearer.config is a secret: give it as "
	    "\"file:PATH\" or \"env:NAME\"\n"
	    "13:39: sinks.s.properties.sasl.oauthbearer.client.secret: "
	    "sasl.oauthbearer.client.secret is a secret: give it as "
	    "\"file:PATH\" or \"env:NAME\"\n"
	    "14:25: sinks.s.properties.sasl.jaas.config: "
	    "sasl.jaas.config is a secret: give it as \"file:PATH\" or "
	    "\"env:NAME\"\n"
	    "7 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      sasl.password: \"file:missing\"\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:22: sinks.s.properties.sasl.password: cannot open "
	    "\"missing\": No such file or directory\n"
	    "    make it, mode 0600, with nothing but the secret in it\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      sasl.password: \"\"\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:22: sinks.s.properties.sasl.password: sasl.password is a "
	    "secret: give it as \"file:PATH\" or \"env:NAME\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      sasl.jaas.config: \"file:token\"\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:25: sinks.s.properties.sasl.jaas.config: librdkafka "
	    "refuses the value\n"
	    "1 error\n"},
};

static const struct cfg_case unknown_properties[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      compresion.codec: lz4\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:25: sinks.s.properties.compresion.codec: No such "
	    "configuration property: \"compresion.codec\"\n"
	    "    did you mean \"compression.codec\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      lingr.ms: 5\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:17: sinks.s.properties.lingr.ms: No such configuration "
	    "property: \"lingr.ms\"\n"
	    "    did you mean \"linger.ms\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      colour: red\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:15: sinks.s.properties.colour: No such configuration "
	    "property: \"colour\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      ack: all\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:12: sinks.s.properties.ack: No such configuration "
	    "property: \"ack\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      linger.ms: soon\n"
	 "      compression.codec: rar\n"
	 "      retries: -1\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:18: sinks.s.properties.linger.ms: Invalid value for "
	    "configuration property \"queue.buffering.max.ms\"\n"
	    "9:26: sinks.s.properties.compression.codec: Invalid value "
	    "\"rar\" for configuration property \"compression.codec\"\n"
	    "10:16: sinks.s.properties.retries: Configuration property "
	    "\"message.send.max.retries\" value -1 is outside allowed "
	    "range 0..2147483647\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      linger.ms:\n"
	 "      socket.keepalive.enable: [true]\n"
	 "      client.id: {a: b}\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:17: sinks.s.properties.linger.ms: expected a text, got "
	    "nothing\n"
	    "9:32: sinks.s.properties.socket.keepalive.enable: expected "
	    "a text, got a list\n"
	    "10:18: sinks.s.properties.client.id: expected a text, got a "
	    "map\n"
	    "3 errors\n"},
};

static const struct cfg_case exposed_passwords[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      security.protocol: sasl_plaintext\n"
	 "      sasl.mechanism: PLAIN\n"
	 "      sasl.username: u\n"
	 "      sasl.password: \"file:token\"\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:26: warning: sinks.s.properties.security.protocol: the "
	    "password goes over the network in clear text\n"
	    "    use sasl_ssl\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      security.protocol: SASL_PLAINTEXT\n"
	 "      sasl.mechanisms: plain\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "8:26: warning: sinks.s.properties.security.protocol: the "
	    "password goes over the network in clear text\n"
	    "    use sasl_ssl\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      security.protocol: sasl_ssl\n"
	 "      sasl.mechanism: PLAIN\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      security.protocol: sasl_plaintext\n"
	 "      sasl.mechanism: SCRAM-SHA-256\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: kafka\n"
	 "    brokers: \"k:9092\"\n"
	 "    properties:\n"
	 "      security.protocol: ssl\n"
	 "      enable.ssl.certificate.verification: f\n"
	 "      ssl.endpoint.identification.algorithm: none\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "9:44: warning: "
	    "sinks.s.properties.enable.ssl.certificate.verification: "
	    "anyone on the network can pose as the broker\n"
	    "10:46: warning: "
	    "sinks.s.properties.ssl.endpoint.identification.algorithm: "
	    "any certificate of the CA can pose as the broker\n"
	    "2 warnings\n"},
};

static const struct cfg_case bad_urls[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis:6379\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis:6379\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"http://redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"http://redis\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis:0\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a port from 1 to 65535, got "
	    "\"redis://redis:0\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis:65536\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a port from 1 to 65535, got "
	    "\"redis://redis:65536\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis:x\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a port from 1 to 65535, got "
	    "\"redis://redis:x\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis:6379/x\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a database's number after the "
	    "host, got \"redis://redis:6379/x\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis:6379/0/1\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a database's number after the "
	    "host, got \"redis://redis:6379/0/1\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis/1000001\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a database's number after the "
	    "host, got \"redis://redis/1000001\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://re dis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://re dis\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://[::1\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://[::1\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://[::g]:1\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://[::g]:1\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://::1:6379\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://::1:6379\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis?db=1\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"redis://redis?db=1\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"unix:run/redis.sock\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected unix: and an absolute path of "
	    "at most 107 characters, got \"unix:run/redis.sock\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"unix:\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected unix: and an absolute path of "
	    "at most 107 characters, got \"unix:\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://:hunter2@redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected no password in the url: it has "
	    "a key of its own\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://user:hunter2@redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected no password in the url: it has "
	    "a key of its own\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://@redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a user's name before the @ of "
	    "the url\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://us/er@redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a user's name before the @ of "
	    "the url\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://user@redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected a password for user user\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"REDIS://redis\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: expected redis://[user@]host[:port][/db] "
	    "or unix:PATH, got \"REDIS://redis\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"rediss://user@redis:6380/0\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: sinks.s.url: not supported yet (TLS to Redis): "
	    "rediss:\n"
	    "1 error\n"},
};

static const struct cfg_case bad_redis[] = {
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis\"\n"
	 "    password: hunter2\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "7:15: sinks.s.password: expected file:NAME or env:NAME, got "
	    "a literal value\n"
	    "    put the secret into a file of mode 0600 beside the "
	    "configuration and write file:NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://redis\"\n"
	 "    password: \"file:token\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "6:10: warning: sinks.s.url: password and events cross the "
	    "network in clear\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    password: \"file:token\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://u@127.0.0.1\"\n"
	 "    password: \"file:token\"\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    timeout: 11s\n"
	 "    pipeline: 0\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "7:14: sinks.s.timeout: expected a duration from 10ms to "
	    "10s, got \"11s\"\n"
	    "8:15: sinks.s.pipeline: expected a number from 1 to 65536, "
	    "got \"0\"\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    timeout: 1s\n"
	 "    wait: {replicas: 1}\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "8:11: sinks.s.wait: expected a wait.timeout below the "
	    "sink's timeout (1000ms), got 1000ms\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    wait: {replicas: 1, timeout: 3s}\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "7:34: sinks.s.wait.timeout: expected a wait.timeout below "
	    "the sink's timeout (2000ms), got 3000ms\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    wait: {timeout: 3s}\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s:\n"
	 "    type: redis\n"
	 "    url: \"redis://127.0.0.1\"\n"
	 "    wait: 1\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "7:11: sinks.s.wait: expected a map of settings, got a "
	    "text\n"
	    "1 error\n"},
};

static const struct cfg_case bad_files[] = {
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: \"events.ndjson\"}}\n"
	 ROUTES,
	    "3:31: sinks.f.path: expected the absolute path of a file, "
	    "or - for stdout\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: \"/var/log/\"}}\n"
	 ROUTES,
	    "3:31: sinks.f.path: expected the absolute path of a file, "
	    "or - for stdout\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: \"-\"}}\n"
	 ROUTES,
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: \"--\"}}\n"
	 ROUTES,
	    "3:31: sinks.f.path: expected the absolute path of a file, "
	    "or - for stdout\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: \"\"}}\n"
	 ROUTES,
	    "3:31: sinks.f.path: expected a text, got an empty one\n"
	    "1 error\n"},
};

/* What the file's reader has refused is not there to be judged. */
static const struct cfg_case broken_values[] = {
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: *x}}\n"
	 ROUTES,
	    "3:31: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s: {type: kafka, brokers: [*x]}\n"
	 "routes: [{to: {sink: s, topic: t}}]\n",
	    "4:30: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks:\n"
	 "  s: {type: redis, url: *x}\n"
	 "routes: [{to: {sink: s, stream: t}}]\n",
	    "4:25: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "1 error\n"},
};

/* clang-format on */

CFG_TEST_OF(bad_brokers)
CFG_TEST_OF(refused_properties)
CFG_TEST_OF(secret_properties)
CFG_TEST_OF(unknown_properties)
CFG_TEST_OF(exposed_passwords)
CFG_TEST_OF(bad_urls)
CFG_TEST_OF(bad_redis)
CFG_TEST_OF(bad_files)
CFG_TEST_OF(broken_values)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_brokers),
	    cmocka_unit_test(test_refused_properties),
	    cmocka_unit_test(test_secret_properties),
	    cmocka_unit_test(test_unknown_properties),
	    cmocka_unit_test(test_exposed_passwords),
	    cmocka_unit_test(test_bad_urls),
	    cmocka_unit_test(test_bad_redis),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_broken_values),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
