# assay_architectures(target files...): the registry is a table generated from the source list; a file's folder is its namespace
# inside assay::arch. An entry without its file, or a file without its ASSAY_ARCHITECTURE line, is a link error; nothing can be
# dropped by the linker and the order is fixed.
function(assay_architectures target)
  set(ASSAY_DECLARATIONS "")
  set(ASSAY_ENTRIES "")
  foreach(src IN LISTS ARGN)
    cmake_path(GET src STEM id)
    cmake_path(GET src PARENT_PATH family)
    string(APPEND ASSAY_DECLARATIONS "namespace ${family} {\nextern const ArchInfo arch_${id};\n}\n")
    string(APPEND ASSAY_ENTRIES "    &${family}::arch_${id},\n")
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/architectures.cpp.in architectures.cpp @ONLY)
  target_sources(${target} PRIVATE ${ARGN} ${CMAKE_CURRENT_BINARY_DIR}/architectures.cpp)
endfunction()
