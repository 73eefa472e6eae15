# SPDX-License-Identifier: Apache-2.0
dist_man_MANS = %D%/hookbridged.8 %D%/hookbridge.yaml.5 %D%/hookbridgectl.1
