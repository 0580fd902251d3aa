// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "small_root.hpp"

int main(int argc, char** argv) {
  goldmill::system::become_worker_if_asked(argc, argv, goldmill::build::test::test_workers());
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
