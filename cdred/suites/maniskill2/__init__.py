"""ManiSkill2, from state observations without a GPU or Vulkan device."""
