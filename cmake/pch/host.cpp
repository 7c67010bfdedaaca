// A translation unit for CMake to hang the precompiled header of the layer on.
