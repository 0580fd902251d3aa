// SPDX-License-Identifier: GPL-3.0-or-later
// FakeSandbox: records what a step asks for and plays prepared answers; no namespaces, no root.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <goldmill/plan/sandbox.hpp>

namespace goldmill::plan {

class FakeSandbox : public Sandbox {
 public:
  struct Call {
    std::string worker;
    Json request;
    std::size_t hands = 0;
  };

  std::vector<Execution> executions;           ///< every run() and capture(), in order
  std::vector<Call> calls;                     ///< every call(), in order
  std::map<std::string, std::string> outputs;  ///< capture(): argv joined by " " -> output
  std::map<std::string, Json> answers;         ///< call(): worker -> result
  std::map<std::string, std::string> files;    ///< read(): path -> content
  std::map<std::string, Error> failures;       ///< argv joined or worker -> its error
  std::int64_t now = 1700000000;

  Result<void> run(const Execution& execution) override {
    executions.push_back(execution);
    if (const auto failure = failures.find(joined(execution)); failure != failures.end()) {
      return failure->second;
    }
    return {};
  }

  Result<std::string> capture(const Execution& execution) override {
    executions.push_back(execution);
    if (const auto failure = failures.find(joined(execution)); failure != failures.end()) {
      return failure->second;
    }
    return outputs[joined(execution)];
  }

  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& hands,
                    const std::function<void(const Json&)>& /*on_event*/) override {
    calls.push_back({std::string(worker), request, hands.size()});
    if (const auto failure = failures.find(std::string(worker)); failure != failures.end()) {
      return failure->second;
    }
    const auto answer = answers.find(std::string(worker));
    return answer == answers.end() ? Json::object() : answer->second;
  }

  Result<std::string> read(std::string_view path) override {
    const auto file = files.find(std::string(path));
    if (file == files.end()) {
      return Error{ErrorKind::not_found, "no file " + std::string(path)};
    }
    return file->second;
  }

  std::int64_t epoch() const override { return now; }

 private:
  static std::string joined(const Execution& execution) {
    std::string text;
    for (const std::string& word : execution.argv) {
      text += (text.empty() ? "" : " ") + word;
    }
    return text;
  }
};

}  // namespace goldmill::plan
