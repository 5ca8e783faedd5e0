# SPDX-License-Identifier: LGPL-2.1-or-later
# What the programs link, with the versions that Debian 12 ships as the floor.
find_package(PkgConfig REQUIRED)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Debian names its versions in whole numbers; other distributions are judged by the libraries alone.
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release os_id REGEX "^ID=")
  file(STRINGS /etc/os-release os_version REGEX "^VERSION_ID=")
  string(REGEX REPLACE "^ID=\"?([^\"]*)\"?$" "\\1" os_id "${os_id}")
  string(REGEX REPLACE "^VERSION_ID=\"?([0-9]*).*$" "\\1" os_version "${os_version}")
  if(os_id STREQUAL "debian" AND os_version AND os_version LESS 12)
    message(FATAL_ERROR "bitsq needs Debian 12 or newer (this is Debian ${os_version}): it lacks libcurl 7.87 and systemd 250.")
  endif()
endif()

pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.87)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd>=250)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb>=0.9.24)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c>=0.15)
pkg_check_modules(INI REQUIRED IMPORTED_TARGET ini_config>=1.3)
if(BITSQ_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
endif()
if(BITSQ_TESTS OR BITSQ_SERVER)
  pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.70)
endif()
