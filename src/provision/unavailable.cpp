// SPDX-License-Identifier: GPL-3.0-or-later
#include "provisioner.hpp"

namespace goldmill::provision {

namespace {

class Unavailable final : public Provisioner {
 public:
  explicit Unavailable(std::string kind) : kind_(std::move(kind)), name_("provision." + kind_) {}

  std::string_view name() const override { return name_; }
  int version() const override { return 1; }

  Result<plan::Step> make_step(const recipe::Recipe& /*recipe*/,
                               const recipe::ProvisionStep& entry) const override {
    plan::Step step;
    step.name = kind_;
    step.kind = name_;
    step.kind_version = version();
    step.options = std::get<recipe::OtherStep>(entry.action).options;
    return step;
  }

  Result<Json> run(const plan::Step& /*step*/, plan::StepContext& /*context*/) override {
    return check_available().error();
  }

  Result<void> check_available() const override {
    return Error{ErrorKind::unavailable,
                 kind_ + " steps are not there yet",
                 kind_ == "packages" ? "name the packages under 'packages:' of the recipe"
                                     : "use a 'shell' or 'files' step for now"};
  }

 private:
  std::string kind_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Provisioner> make_unavailable(std::string kind) {
  return std::make_unique<Unavailable>(std::move(kind));
}

}  // namespace goldmill::provision
