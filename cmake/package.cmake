# SPDX-License-Identifier: GPL-3.0-or-later
# cmake --install, and a .deb by CPack.
install(TARGETS goldmill RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/reference/recipe.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/goldmill)
# With what the recipes name, but neither the demo's key pair nor what builds leave beside them.
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
        REGEX "/examples/ops(\\.pub)?$" EXCLUDE
        PATTERN "*.lock" EXCLUDE
        PATTERN "*.packages" EXCLUDE
        PATTERN "*.swp" EXCLUDE)
# Where the README's links lead.
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs PATTERN "*.swp" EXCLUDE)
install(FILES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES src/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/src)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

# The program writes its own man page and completions, so that they cannot differ from its help.
install(CODE "
  set(goldmill $<TARGET_FILE:goldmill>)
  set(prefix \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
  file(MAKE_DIRECTORY
       \"\${prefix}/${CMAKE_INSTALL_MANDIR}/man1\"
       \"\${prefix}/${CMAKE_INSTALL_DATADIR}/bash-completion/completions\"
       \"\${prefix}/${CMAKE_INSTALL_DATADIR}/zsh/site-functions\"
       \"\${prefix}/${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d\")
  foreach(shell IN ITEMS bash zsh fish)
    execute_process(COMMAND \${goldmill} completion \${shell} OUTPUT_VARIABLE text
                    COMMAND_ERROR_IS_FATAL ANY)
    set(file_bash \"${CMAKE_INSTALL_DATADIR}/bash-completion/completions/goldmill\")
    set(file_zsh \"${CMAKE_INSTALL_DATADIR}/zsh/site-functions/_goldmill\")
    set(file_fish \"${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d/goldmill.fish\")
    file(WRITE \"\${prefix}/\${file_\${shell}}\" \"\${text}\")
  endforeach()
  execute_process(COMMAND \${goldmill} man OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE \"\${prefix}/${CMAKE_INSTALL_MANDIR}/man1/goldmill.1\" \"\${text}\")
")

# Both say what goldmill needs to run, so the package has it from where the scripts have it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/packages)
file(STRINGS ${PROJECT_SOURCE_DIR}/scripts/packages run_packages REGEX "^run ")
list(TRANSFORM run_packages REPLACE "^run +" "")
list(JOIN run_packages ", " run_packages)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME goldmill)
set(CPACK_PACKAGE_CONTACT "goldmill maintainers <maintainers@goldmill.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "golden VM images: base, variants, proof, launch")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${run_packages}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
include(CPack)
