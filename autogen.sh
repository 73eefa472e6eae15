#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes configure and the Makefile templates; needs autoconf, automake and
# autoconf-archive.
set -e
cd "$(dirname "$0")"
mkdir -p m4 build-aux
exec autoreconf --install --force --warnings=all
