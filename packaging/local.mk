# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += %D%/quickstart
EXTRA_DIST += %D%/kafka-rig %D%/kafka/pom.xml %D%/kafka/SHA256SUMS
include %D%/man/local.mk
