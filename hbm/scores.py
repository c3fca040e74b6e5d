"""Scores of students in schools (in districts): Beta models with four levels of pooling.

A student's score is Beta with mean mu_school = expit(eta_school) and sample size nu_school,
log nu_school ~ N(log nu, tau_nu). The schools' means differ in

=====================  ====================================================================
`complete_pooling`     eta_school = eta: one mean for all
`no_pooling`           eta_school ~ N(1.1, 1.5): each school alone
`partial_pooling`      eta_school ~ N(eta, tau_school), with tau_school learned
`nested`               eta_school ~ N(eta_district, tau_school), with
                       eta_district ~ N(eta, tau_district), both learned
=====================  ====================================================================

Scores are proportions strictly between 0 and 1. eta, the effects and the taus are in logits. The
students of a school enter by their number and the sums of log s and of log(1 − s), which say all
there is to say of mu_school and nu_school: the posterior is that of the students one by one.
"""
